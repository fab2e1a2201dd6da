/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What differs between kernels, one shim each, with the change that forced it.
 * vmlinux.h is of 6.18; older names are `___old` flavours that CO-RE resolves when the object is
 * loaded, so that the branch for another kernel is dead code there.
 */
#ifndef XCTL_COMPAT_BPF_H
#define XCTL_COMPAT_BPF_H

/* 6.15 renamed kernfs_node.parent to __parent (it became an RCU pointer). */
struct kernfs_node___old {
	struct kernfs_node *parent;
} __attribute__((preserve_access_index));

static __always_inline struct kernfs_node *xctl_kn_parent(struct kernfs_node *kn)
{
	struct kernfs_node___old *old = (void *)kn;

	if (bpf_core_field_exists(old->parent))
		return BPF_CORE_READ(old, parent);
	return BPF_CORE_READ(kn, __parent);
}

/* CPU that a task runs on, is queued on or ran on last: in thread_info since 5.16 (x86), in the task before. */
struct task_struct___cpu {
	unsigned int cpu;
} __attribute__((preserve_access_index));

static __always_inline __u32 xctl_task_cpu(struct task_struct *t)
{
	struct task_struct___cpu *old = (void *)t;
	__u32 cpu = 0;

	if (bpf_core_field_exists(t->thread_info.cpu)) {
		cpu = BPF_CORE_READ(t, thread_info.cpu);
		/* Two reads of one size are made one, of whichever field: then neither kernel loads it. */
		asm volatile("" : "+r"(cpu));
	} else if (bpf_core_field_exists(old->cpu)) {
		cpu = BPF_CORE_READ(old, cpu);
	}
	return cpu;
}

/* 6.2 made mm->rss_stat an array of per-CPU counters (f1a7941243c1); before it was a struct of atomics. */
struct mm_rss_stat___old {
	atomic_long_t count[4];
} __attribute__((preserve_access_index));

struct mm_struct___old {
	struct mm_rss_stat___old rss_stat;
} __attribute__((preserve_access_index));

/* Pages of one kind (MM_FILEPAGES, …); the sum may be below zero for a moment. */
#define xctl_mm_counter(mm, kind)                                                                  \
	({                                                                                         \
		struct mm_struct___old *__old = (void *)(mm);                                      \
		__s64 __pages;                                                                     \
		if (bpf_core_field_exists(__old->rss_stat.count)) {                                \
			__pages = BPF_CORE_READ(__old, rss_stat.count[kind].counter);              \
			asm volatile("" : "+r"(__pages)); /* as in xctl_task_cpu() */              \
		} else {                                                                           \
			__pages = BPF_CORE_READ((mm), rss_stat[kind].count);                       \
		}                                                                                  \
		(__u64)(__pages > 0 ? __pages : 0);                                                \
	})

/*
 * Ticks a second. Not in BTF, and kconfig is not there in every container: jiffies start at
 * 2^32 - 300 * HZ by definition (INITIAL_JIFFIES) and follow CLOCK_MONOTONIC, so the two together
 * say it at any time but close to 300 s of uptime, where the delayed-ACK limit (HZ / 5, 5.10+) does.
 */
static __u32 xctl_hz_known;

static __always_inline __u32 xctl_hz(const struct sock *sk)
{
	const struct inet_connection_sock *icsk = (const void *)sk;
	__u32 hz = xctl_hz_known;
	__u64 ticks = bpf_jiffies64(), up_ms = bpf_ktime_get_ns() / 1000000;

	if (hz)
		return hz;
	if (up_ms > 330000 && ticks > (1ULL << 32))
		hz = ((ticks - (1ULL << 32)) * 1000) / (up_ms - 300000);
	else if (up_ms < 270000 && ticks < (1ULL << 32))
		hz = (((1ULL << 32) - ticks) * 1000) / (300000 - up_ms);
	else if (bpf_core_field_exists(icsk->icsk_delack_max))
		return BPF_CORE_READ(icsk, icsk_delack_max) * 5 ?: 250;
	else
		return 250;
	/* Ticks lost while the clock was not running yet move it by a fraction of a per cent. */
	if (hz >= 97 && hz <= 103)
		hz = 100;
	else if (hz >= 243 && hz <= 257)
		hz = 250;
	else if (hz >= 291 && hz <= 309)
		hz = 300;
	else if (hz >= 970 && hz <= 1030)
		hz = 1000;
	else if (!hz)
		hz = 250;
	xctl_hz_known = hz;
	return hz;
}

/*
 * inet_csk_accept() returns the socket; 6.10 replaced (flags, err, kern) by one struct
 * proto_accept_arg, which moves the return value from ctx[4] to ctx[2]. bpf_get_func_ret() would
 * give it as a number only, and socket storage wants the typed pointer. The barriers keep the two
 * loads apart: a context is read at constant offsets only.
 */
#define xctl_accepted(ctx)                                                                         \
	({                                                                                         \
		struct sock *__sk;                                                                 \
		if (bpf_core_type_exists(struct proto_accept_arg)) {                               \
			__sk = (struct sock *)(ctx)[2];                                            \
			asm volatile("" : "+r"(__sk));                                             \
		} else {                                                                           \
			__sk = (struct sock *)(ctx)[4];                                            \
			asm volatile("" : "+r"(__sk));                                             \
		}                                                                                  \
		__sk;                                                                              \
	})

#endif
