// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What every sleeping thread waits for, by looking and not by tracing: nothing is attached to a
 * path that programs run on. One pass over the threads (`threads`), and, when somebody waits for
 * something that others hold, one over the open files (`holders`).
 *
 * A thread that has not run since the last pass is reported as such in 24 bytes; its details were
 * told when they were new, are told again once the wait is a second old, and on every full pass.
 *
 * A write that finds the iterator's buffer full is no loss: the kernel takes the task's records
 * back and calls again for it with an empty buffer, which holds the largest set.
 *
 * Minimum kernel: threads__iter_s 5.18 (sleepable iterators, bpf_copy_from_user_task, bpf_loop);
 * threads__iter 5.11 (task storage), without futex owners and poll members; holders 5.8.
 * Cost, in the agent's own context: 0.5-2 us a thread, 0.2 us a descriptor.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include "xctl_events.h"
#include "lib/ring.bpf.h"
#include "lib/task.bpf.h"
#include "waits/syscall.bpf.h"
#include "waits/set.bpf.h"
#include "waits/futex.bpf.h"
#include "waits/path.bpf.h"
#include "waits/page.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* A wait this old is told once more, with its holders: it is no part of a healthy pipeline. */
#define SETTLED_NS 1000000000ULL

struct seen {
	__u64 switches;
	__u64 since_ns;
	__u64 generation; /* of the pass that found it so */
	__u32 sleeping;
	__u32 settled;
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct seen);
} xctl_seen SEC(".maps");

/* Records are larger than the stack. Only one pass runs at a time. */
struct scratch {
	struct xctl_wait wait;
	struct xctl_wait_member member;
	struct xctl_wait_holder holder;
	struct wait_file file;
	struct set_walk walk;
	__u64 stack[XCTL_STACK_WORDS];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct scratch);
} xctl_scratch SEC(".maps");

/* What user memory tells: futex words, poll sets. */
static __always_inline void classify_user(struct task_struct *t, struct scratch *s, struct seq_file *seq,
					  const __u64 *arg, bool sleepable)
{
	struct xctl_wait *e = &s->wait;
	struct futex_mutex mutex = {};
	struct pollfd pfd = {};

	switch (e->syscall) {
	case NR_futex:
		e->object = arg[0];
		e->wait = XCTL_W_FUTEX;
		if (!sleepable)
			break;
		if (!bpf_copy_from_user_task(&mutex, sizeof(mutex), (void *)arg[0], t, 0) ||
		    !bpf_copy_from_user_task(&mutex.word, sizeof(mutex.word), (void *)arg[0], t, 0))
			xctl_wait_futex(e, &mutex, arg[1], arg[2]);
		break;
	case NR_poll:
	case NR_ppoll:
		e->wait = arg[1] ? XCTL_W_POLL : XCTL_W_SLEEP;
		e->nfds = arg[1];
		/* One descriptor is no set: the wait is as exact as a read. */
		if (sleepable && arg[1] == 1 &&
		    !bpf_copy_from_user_task(&pfd, sizeof(pfd), (void *)arg[0], t, 0))
			use_fd(t, e, &s->file, pfd.fd, pfd.events & 4 ? XCTL_OP_WRITE : XCTL_OP_READ);
		break;
	case NR_epoll_wait:
	case NR_epoll_pwait:
	case NR_epoll_pwait2:
		e->wait = XCTL_W_EPOLL;
		e->fd = arg[0];
		break;
	}
	if (!sleepable)
		e->flags |= XCTL_WF_SIMPLE;
}

/* The set's own record comes after its members: only then is it known how many there are. */
static __always_inline void write_members(struct task_struct *t, struct scratch *s, struct seq_file *seq,
					  const __u64 *arg)
{
	struct xctl_wait *e = &s->wait;
	struct set_walk walk = { .seq = seq, .task = t, .m = &s->member, .w = &s->file };
	struct file *file;

	if (e->wait == XCTL_W_POLL && (e->syscall == NR_poll || e->syscall == NR_ppoll)) {
		xctl_walk_poll(&walk, arg[0], arg[1]);
	} else if (e->wait == XCTL_W_EPOLL) {
		file = xctl_fd_file(t, arg[0]);
		if (!file)
			return;
		xctl_walk_epoll(&walk, file);
		e->nfds = walk.nfds;
	} else {
		return;
	}
	if (walk.cut)
		e->flags |= XCTL_WF_MEMBERS_CUT;
}

static __always_inline void classify(struct task_struct *t, struct scratch *s, struct seq_file *seq,
				     const __u64 *arg, bool sleepable)
{
	struct xctl_wait *e = &s->wait;

	e->wait = XCTL_W_OTHER;
	if (e->state & TASK_STOPPED) {
		e->wait = XCTL_W_STOPPED;
	} else if (e->state & TASK_TRACED) {
		e->wait = XCTL_W_TRACED;
		e->owner_tid = BPF_CORE_READ(t, parent, tgid);
	} else if (is_frozen(t, e->state)) {
		e->wait = XCTL_W_FROZEN;
	} else {
		classify_syscall(t, e, &s->file, arg);
		classify_user(t, s, seq, arg, sleepable);
	}
	if (e->wait != XCTL_W_OTHER || !(e->state & TASK_UNINTERRUPTIBLE) || (e->state & TASK_NOLOAD))
		return;
	e->dev = xctl_walk_dev(t);
	if (!e->dev)
		e->dev = xctl_stack_dev(t, s->stack);
	if (sleepable && !e->dev && is_path_call(e->syscall))
		e->dev = xctl_stack_path_dev(t, s->stack);
	if (e->dev) {
		e->wait = XCTL_W_DISK;
		e->flags |= XCTL_WF_PATH;
		return;
	}
	/* vfork: until the child has its own memory. */
	if (e->syscall == NR_vfork || e->syscall == NR_clone || e->syscall == NR_clone3)
		e->wait = XCTL_W_CHILD;
	else
		e->wait = e->flags & XCTL_WF_IOWAIT ? XCTL_W_DISK : XCTL_W_KERNEL;
}

static __always_inline void read_regs(struct task_struct *t, struct xctl_wait *e, __u64 *arg)
{
	struct pt_regs *regs = (struct pt_regs *)bpf_task_pt_regs(t);

	e->syscall = -1;
	if (!regs || BPF_CORE_READ(t, thread_info.status) & TS_COMPAT)
		return;
	e->syscall = BPF_CORE_READ(regs, orig_ax);
	arg[0] = BPF_CORE_READ(regs, di);
	arg[1] = BPF_CORE_READ(regs, si);
	arg[2] = BPF_CORE_READ(regs, dx);
	arg[3] = BPF_CORE_READ(regs, r10);
}

/* Where its details are known and have not changed, the short record. */
static __always_inline bool is_same(struct seen *seen, struct pass *pass, __u64 switches, __u32 sleeping, __u64 now)
{
	if (pass->full || !sleeping || !seen->sleeping || seen->switches != switches)
		return false;
	/* The iterator's buffer was full and it calls again for the same task. */
	if (seen->generation == pass->generation)
		return false;
	if (!seen->settled && now - seen->since_ns >= SETTLED_NS) {
		seen->settled = 1;
		seen->generation = pass->generation;
		return false;
	}
	return true;
}

static __always_inline void write_same(struct task_struct *t, struct seq_file *seq)
{
	struct xctl_wait_same same = {};

	xctl_fill_hdr(&same.hdr, XCTL_WAIT_SAME, sizeof(same));
	same.hdr.pid = BPF_CORE_READ(t, tgid);
	same.tid = BPF_CORE_READ(t, pid);
	bpf_seq_write(seq, &same, sizeof(same));
}

static __always_inline int one_thread(struct bpf_iter__task *ctx, bool sleepable)
{
	struct task_struct *t = ctx->task;
	struct seq_file *seq = ctx->meta->seq;
	struct pass *pass = xctl_this_pass();
	__u32 zero = 0, state, sleeping;
	struct xctl_wait *e;
	struct scratch *s;
	struct seen *seen;
	__u64 switches, now, arg[4] = {};

	if (!t || !pass || xctl_is_kthread(t) || BPF_CORE_READ(t, exit_state))
		return 0;
	s = bpf_map_lookup_elem(&xctl_scratch, &zero);
	if (!s)
		return 0;
	state = task_state(t);
	sleeping = state & (TASK_INTERRUPTIBLE | TASK_UNINTERRUPTIBLE | TASK_STOPPED | TASK_TRACED | TASK_FROZEN);
	switches = BPF_CORE_READ(t, nvcsw) + BPF_CORE_READ(t, nivcsw);
	now = bpf_ktime_get_boot_ns();
	seen = bpf_task_storage_get(&xctl_seen, t, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!seen) {
		xctl_count_loss(XCTL_LOST_STORAGE);
		return 0;
	}
	if (is_same(seen, pass, switches, sleeping, now)) {
		write_same(t, seq);
		return 0;
	}
	if (seen->switches != switches || !seen->since_ns || seen->sleeping != !!sleeping) {
		seen->switches = switches;
		seen->since_ns = now - (sleeping ? off_cpu_ns(t) : 0);
		seen->settled = 0;
	}
	seen->sleeping = !!sleeping;
	seen->generation = pass->generation;
	if (now - seen->since_ns >= SETTLED_NS)
		seen->settled = 1;

	e = &s->wait;
	__builtin_memset(e, 0, sizeof(*e));
	__builtin_memset(&s->file, 0, sizeof(s->file));
	xctl_fill_hdr(&e->hdr, XCTL_WAIT, sizeof(*e));
	e->hdr.pid = BPF_CORE_READ(t, tgid);
	e->tid = BPF_CORE_READ(t, pid);
	e->start_ns = xctl_start_ns(t);
	e->since_ns = seen->since_ns;
	e->switches = switches;
	e->run_ns = BPF_CORE_READ(t, se.sum_exec_runtime);
	e->state = state;
	e->fd = -1;
	e->threads = BPF_CORE_READ(t, signal, nr_threads);
	BPF_CORE_READ_STR_INTO(&e->comm, t, comm);
	if (BPF_CORE_READ_BITFIELD_PROBED(t, in_iowait))
		e->flags |= XCTL_WF_IOWAIT;
	fill_cpu(e, t);
	if (sleeping) {
		read_regs(t, e, arg);
		classify(t, s, seq, arg, sleepable);
		if (sleepable)
			write_members(t, s, seq, arg);
	} else {
		e->wait = XCTL_W_RUN;
		e->syscall = -1;
	}
	bpf_seq_write(seq, e, sizeof(*e));
	return 0;
}

SEC("iter.s/task")
int threads__iter_s(struct bpf_iter__task *ctx)
{
	return one_thread(ctx, true);
}

SEC("iter/task")
int threads__iter(struct bpf_iter__task *ctx)
{
	return one_thread(ctx, false);
}

/* Of a listening socket's queue, how many connections are looked at. */
#define QUEUE_MAX 32

/* `t` and `file`: the context's, which the caller has found to be there. */
static __always_inline void tell_holder(struct bpf_iter__task_file *ctx, struct task_struct *t,
					struct file *file, struct xctl_wait_holder *h, __u64 object)
{
	xctl_fill_hdr(&h->hdr, XCTL_WAIT_HOLDER, sizeof(*h));
	h->hdr.pid = BPF_CORE_READ(t, tgid);
	h->start_ns = xctl_start_ns(t);
	h->object = object;
	h->fd = ctx->fd;
	h->mode = BPF_CORE_READ(file, f_mode) & 3;
	BPF_CORE_READ_STR_INTO(&h->comm, t, comm);
	bpf_seq_write(ctx->meta->seq, h, sizeof(*h));
}

/*
 * Connections that the kernel has taken and the program has not: no descriptor leads to them, and who has the listener
 * open is whom they wait for. The queue is read without its lock; what comes out of step fails the check of sequence
 * numbers in user space.
 */
static __always_inline void queued_on(struct bpf_iter__task_file *ctx, struct task_struct *t,
				      struct file *file, struct sock *listener, struct xctl_wait_holder *h, __u64 generation)
{
	struct inet_connection_sock *icsk = (void *)listener;
	struct request_sock *req = BPF_CORE_READ(icsk, icsk_accept_queue.rskq_accept_head);

	h->wait = XCTL_W_TCP;
	h->queued = 1;
	for (int i = 0; i < QUEUE_MAX && req; i++) {
		struct sock *sk = BPF_CORE_READ(req, sk);
		struct wanted_key key = {};
		struct wanted *wanted;

		__builtin_memset(&h->flow, 0, sizeof(h->flow));
		xctl_fill_flow(&h->flow, sk);
		xctl_flow_key(&key, &h->flow, false);
		wanted = bpf_map_lookup_elem(&xctl_wanted, &key);
		if (wanted && wanted->generation == generation) {
			__builtin_memset(&h->tcp, 0, sizeof(h->tcp));
			xctl_fill_tcp_state(&h->tcp, sk);
			tell_holder(ctx, t, file, h, wanted->object);
		}
		req = BPF_CORE_READ(req, dl_next);
	}
}

SEC("iter/task_file")
int holders__iter(struct bpf_iter__task_file *ctx)
{
	struct task_struct *t = ctx->task;
	struct file *file = ctx->file;
	struct pass *pass = xctl_this_pass();
	struct xctl_wait_holder *h;
	struct wanted_key key = {};
	struct wanted *wanted;
	struct socket *sock;
	struct sock *sk = NULL;
	struct scratch *s;
	__u32 zero = 0;
	__u16 type;

	if (!t || !file || !pass || BPF_CORE_READ(t, tgid) != BPF_CORE_READ(t, pid))
		return 0;
	type = BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT;
	if (type != S_IFIFO && type != S_IFSOCK)
		return 0;
	s = bpf_map_lookup_elem(&xctl_scratch, &zero);
	if (!s)
		return 0;
	h = &s->holder;
	__builtin_memset(h, 0, sizeof(*h));
	h->wait = XCTL_W_PIPE;
	key.a = (__u64)BPF_CORE_READ(file, f_inode);
	if (type == S_IFSOCK) {
		sock = BPF_CORE_READ(file, private_data);
		sk = BPF_CORE_READ(sock, sk);
		h->wait = XCTL_W_UNIX;
		if (xctl_is_tcp(sk)) {
			if (BPF_CORE_READ(sk, __sk_common.skc_state) == BPF_TCP_LISTEN) {
				queued_on(ctx, t, file, sk, h, pass->generation);
				return 0;
			}
			h->wait = XCTL_W_TCP;
			xctl_fill_flow(&h->flow, sk);
			xctl_flow_key(&key, &h->flow, false);
		}
	}
	wanted = bpf_map_lookup_elem(&xctl_wanted, &key);
	if (!wanted || wanted->generation != pass->generation)
		return 0;
	if (h->wait == XCTL_W_TCP)
		xctl_fill_tcp_state(&h->tcp, sk);
	tell_holder(ctx, t, file, h, wanted->object);
	return 0;
}
