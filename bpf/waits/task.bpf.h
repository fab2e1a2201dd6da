/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A task as the scheduler has it: its state, whether it is frozen, and how long it has been off the CPU. */
#ifndef XCTL_WAITS_TASK_BPF_H
#define XCTL_WAITS_TASK_BPF_H

#define TASK_INTERRUPTIBLE 0x1
#define TASK_UNINTERRUPTIBLE 0x2
#define TASK_STOPPED 0x4
#define TASK_TRACED 0x8
#define TASK_NOLOAD 0x400
#define TASK_FROZEN 0x8000 /* 6.1; before it PF_FROZEN */
#define PF_FROZEN 0x00010000
#define JOBCTL_TRAP_FREEZE (1UL << 23)
#define TS_COMPAT 0x2 /* a 32-bit system call: other numbers */

struct task_struct___old {
	long state; /* __state since 5.14 */
} __attribute__((preserve_access_index));

static __always_inline __u32 task_state(struct task_struct *t)
{
	struct task_struct___old *old = (void *)t;

	if (bpf_core_field_exists(t->__state))
		return BPF_CORE_READ(t, __state);
	return BPF_CORE_READ(old, state);
}

static __always_inline bool is_frozen(struct task_struct *t, __u32 state)
{
	if (state & TASK_FROZEN)
		return true;
	/*
	 * cgroup v2 freezer, 5.2. The parent of a vfork and a traced task have the bit as well: they
	 * would not run if their group were frozen. Only one that was told to freeze is.
	 */
	if (bpf_core_field_exists(t->frozen) && BPF_CORE_READ_BITFIELD_PROBED(t, frozen) &&
	    BPF_CORE_READ(t, jobctl) & JOBCTL_TRAP_FREEZE)
		return true;
	return BPF_CORE_READ(t, flags) & PF_FROZEN;
}

/* When the task last left a CPU (or, for one that runs, was last accounted), in the scheduler's clock. */
static __always_inline __u64 left_cpu(struct task_struct *t)
{
	__u64 burst = BPF_CORE_READ(t, se.sum_exec_runtime) - BPF_CORE_READ(t, se.prev_sum_exec_runtime);

	return BPF_CORE_READ(t, sched_info.last_arrival) + burst;
}

/*
 * How long the task has been runnable without a CPU, over its life: what the scheduler has booked
 * plus, for one that is queued now, what it has not booked yet. Time throttled by a CPU limit counts:
 * a throttled task stays queued. The clock is as in off_cpu_ns().
 */
static __always_inline __u64 run_delay_ns(struct task_struct *t)
{
	__u64 delay, queued, now;

	if (!bpf_core_field_exists(t->sched_info.run_delay))
		return 0;
	delay = BPF_CORE_READ(t, sched_info.run_delay);
	queued = BPF_CORE_READ(t, sched_info.last_queued);
	if (!queued)
		return delay;
	now = left_cpu((void *)bpf_get_current_task());
	return now > queued ? delay + (now - queued) : delay;
}

/* With what CPU it runs, and what it lacks. */
static __always_inline void fill_cpu(struct xctl_wait *e, struct task_struct *t)
{
	e->delay_ns = run_delay_ns(t);
	e->cpu = xctl_task_cpu(t);
	e->cpus = BPF_CORE_READ(t, nr_cpus_allowed);
	if (bpf_core_field_exists(t->on_cpu) && BPF_CORE_READ(t, on_cpu))
		e->flags |= XCTL_WF_ON_CPU;
	/* PSI's own mark: direct reclaim, throttled over memory.high, reading swapped pages back. */
	if (bpf_core_field_exists(t->in_memstall) && BPF_CORE_READ_BITFIELD_PROBED(t, in_memstall))
		e->flags |= XCTL_WF_MEMSTALL;
}

/*
 * How long the task has been off the CPU. The scheduler's clock has no helper; the reading task's
 * own account, a timer tick old at most, stands for now.
 */
static __always_inline __u64 off_cpu_ns(struct task_struct *t)
{
	struct task_struct *me = (void *)bpf_get_current_task();
	__u64 now, left;

	if (!bpf_core_field_exists(t->sched_info.last_arrival))
		return 0;
	now = left_cpu(me);
	left = left_cpu(t);
	return now > left ? now - left : 0;
}

#endif
