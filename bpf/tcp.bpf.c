// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * TCP connections in trouble, and whose they are.
 *
 * Ownership (lib/owner.bpf.h) is written in the owner's own context: connect (state SYN_SENT),
 * accept, every change of sender, the FIN, and one walk over all descriptors at start for sockets
 * that are older than the agent. Everything else only reads it.
 *
 * What leaves the kernel is a change of state: a connection made or refused, the first retransmit,
 * every RTO further than the last, a reset, a closed window, recovery, the end. Retransmits between
 * these are counted in the socket and leave at most four times a second (`suppressed`).
 *
 * Minimum kernel: 5.12 (socket storage and cookies in tracing programs); senders are seen before
 * their first byte is queued on 6.16+ or wherever fentry works; where neither does, tcp_late.bpf.c.
 * Cost, measured on 6.18: below 0.1 us a segment (up to 64 KB) that is sent, for one storage lookup
 * and three compares; 2 us a connect, 4 us a retransmit that is told; a pass 0.14 us a descriptor.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include "xctl_events.h"
#include "lib/ring.bpf.h"
#include "lib/task.bpf.h"
#include "lib/flow.bpf.h"
#include "lib/owner.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* At most four updates a second a flow. */
#define UPDATE_NS 250000000ULL

#define ECONNRESET 104
#define EPIPE 32
#define ECANCELED 125
#define SHUTDOWN_MASK 3

struct flow_state {
	__u64 since_ns; /* start of the present trouble; 0: none */
	__u64 sent_ns; /* last update that left */
	__u32 doubt_seq; /* what was in flight when the trouble began; acked: it is over */
	__u32 retrans_events;
	__u32 timeout_events;
	__u32 suppressed;
	__u8 timeouts_told; /* RTOs in a row, as last told */
	__u8 zero_window;
	__u8 pad[6];
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct flow_state);
} xctl_flows SEC(".maps");

static __always_inline void fill(struct xctl_tcp *e, const struct sock *sk,
				 const struct sock_owner *owner, const struct flow_state *flow)
{
	xctl_fill_flow(&e->flow, sk);
	xctl_fill_tcp_state(&e->tcp, sk);
	if (owner) {
		e->owner = owner->o;
		e->hdr.pid = xctl_owner_pid(owner, e->tcp.snd_una + e->tcp.write_queue_bytes);
		/* Bytes of unknown hand: the record must not name anybody either. */
		if (owner->after && !e->hdr.pid && !owner->o.kernel)
			e->owner.shared = 1;
	}
	if (flow) {
		e->since_ns = flow->since_ns;
		e->retrans_events = flow->retrans_events;
		e->timeout_events = flow->timeout_events;
		e->suppressed = flow->suppressed;
	}
}

/* ---- ownership -------------------------------------------------------- */

static __noinline int sender_changed(struct sock *sk, struct sock_owner *owner, struct task_struct *task)
{
	bool kernel = xctl_kernel_socket(sk);

	if (kernel || xctl_is_kthread(task)) {
		/* A worker that carries a program's bytes (kTLS, sockmap) does not become their owner. */
		if (kernel || !owner->o.last_pid)
			owner->o.kernel = 1;
		return 0;
	}
	owner->o.kernel = 0;
	xctl_owner_last(&owner->o, task, XCTL_HOW_SEND);
	return 0;
}

static __always_inline int on_send(struct sock *sk)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct sock_owner *owner = bpf_sk_storage_get(&xctl_owners, sk, 0, 0);

	if (owner && owner->o.last_pid == (__u32)task->tgid && owner->o.last_how == XCTL_HOW_SEND &&
	    owner->o.last_start_ns == task->group_leader->start_boottime)
		return 0;
	if (!owner) {
		owner = xctl_owner_make(sk);
		if (!owner)
			return 0;
	}
	return sender_changed(sk, owner, task);
}

#ifndef XCTL_SENDS_SEEN_LATE
/* Before the bytes are queued, so that no retransmit of them can come first. 6.16+ */
SEC("tp_btf/tcp_sendmsg_locked")
int BPF_PROG(send__tp_btf, struct sock *sk)
{
	return on_send(sk);
}

SEC("fentry/tcp_sendmsg_locked")
int BPF_PROG(send__fentry, struct sock *sk)
{
	return on_send(sk);
}

/* sendfile and kTLS before 6.5 */
SEC("fentry/do_tcp_sendpages")
int BPF_PROG(sendpage__fentry, struct sock *sk)
{
	return on_send(sk);
}
#else
SEC("tp_btf/sock_send_length")
int BPF_PROG(send__tp_btf, struct sock *sk, int ret)
{
	struct sock_owner *owner;

	if (ret <= 0 || sk->sk_protocol != XCTL_IPPROTO_TCP || !xctl_is_tcp(sk))
		return 0;
	on_send(sk);
	owner = bpf_sk_storage_get(&xctl_owners, sk, 0, 0);
	if (owner) {
		owner->after = 1;
		owner->sent_seq = BPF_CORE_READ((struct tcp_sock *)sk, write_seq);
	}
	return 0;
}
#endif

SEC("fexit/inet_csk_accept")
int accept__fentry(__u64 *ctx)
{
	struct sock *sk = xctl_accepted(ctx);
	struct task_struct *task = bpf_get_current_task_btf();
	struct sock_owner *owner;

	if (!sk || sk->sk_protocol != XCTL_IPPROTO_TCP)
		return 0;
	owner = xctl_owner_make(sk);
	if (!owner)
		return 0;
	/* Over what the listener handed down. */
	__builtin_memset(owner, 0, sizeof(*owner));
	if (xctl_kernel_socket(sk) || xctl_is_kthread(task)) {
		owner->o.kernel = 1;
		return 0;
	}
	xctl_owner_created(&owner->o, task, XCTL_HOW_ACCEPT);
	xctl_owner_last(&owner->o, task, XCTL_HOW_ACCEPT);
	return 0;
}

static __always_inline void connect_started(struct sock *sk)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct sock_owner *owner = xctl_owner_make(sk);

	bpf_get_socket_cookie(sk);
	if (!owner)
		return;
	/* The socket may have been connected before. */
	__builtin_memset(owner, 0, sizeof(*owner));
	owner->connect_ns = bpf_ktime_get_boot_ns();
	if (xctl_kernel_socket(sk) || xctl_is_kthread(task)) {
		owner->o.kernel = 1;
		return;
	}
	xctl_owner_created(&owner->o, task, XCTL_HOW_CONNECT);
	xctl_owner_last(&owner->o, task, XCTL_HOW_CONNECT);
}

static __always_inline void listening(struct sock *sk)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct sock_owner *owner;

	if (xctl_is_kthread(task))
		return;
	owner = xctl_owner_make(sk);
	if (!owner)
		return;
	__builtin_memset(owner, 0, sizeof(*owner));
	xctl_owner_created(&owner->o, task, XCTL_HOW_LISTENER);
	xctl_owner_last(&owner->o, task, XCTL_HOW_LISTENER);
}

/*
 * Runs in close(2), shutdown(2) or exit of the last holder. With nothing else in flight the FIN is
 * all that can be retransmitted, and it is this process's.
 */
static __always_inline void closing(struct sock *sk)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct tcp_sock *tp = (struct tcp_sock *)sk;
	struct sock_owner *owner;

	if (xctl_is_kthread(task) || BPF_CORE_READ(tp, write_seq) != BPF_CORE_READ(tp, snd_una))
		return;
	owner = xctl_owner_make(sk);
	if (!owner || owner->o.kernel)
		return;
	if (owner->o.last_pid != (__u32)task->tgid || owner->o.last_how != XCTL_HOW_SEND)
		xctl_owner_last(&owner->o, task, XCTL_HOW_SEND);
	/* The FIN takes one number, after the data. */
	owner->sent_seq = BPF_CORE_READ(tp, write_seq) + 1;
}

/* ---- life of a connection --------------------------------------------- */

static __always_inline void end_trouble(struct flow_state *flow)
{
	flow->since_ns = 0;
	flow->suppressed = 0;
	flow->timeouts_told = 0;
	flow->zero_window = 0;
}

static __always_inline void connected(struct sock *sk)
{
	struct sock_owner *owner = bpf_sk_storage_get(&xctl_owners, sk, 0, 0);
	struct flow_state *flow = bpf_sk_storage_get(&xctl_flows, sk, 0, 0);
	struct xctl_tcp *e;

	/* Began before the agent: when is not known. */
	if (owner && owner->connect_ns) {
		e = xctl_reserve(&xctl_events, struct xctl_tcp, XCTL_TCP_CONNECT);
		if (e) {
			fill(e, sk, owner, flow);
			e->flow.state = BPF_TCP_ESTABLISHED;
			e->latency_ns = e->hdr.ts_ns - owner->connect_ns;
			xctl_submit(e);
		}
		owner->connect_ns = 0;
		owner->told = 1;
	}
	if (flow && flow->since_ns) {
		e = xctl_reserve(&xctl_events, struct xctl_tcp, XCTL_TCP_RECOVERED);
		if (e) {
			fill(e, sk, owner, flow);
			e->flow.state = BPF_TCP_ESTABLISHED;
			xctl_submit(e);
		}
		end_trouble(flow);
	}
}

static __always_inline void connect_failed(struct sock *sk)
{
	struct sock_owner *owner = bpf_sk_storage_get(&xctl_owners, sk, 0, 0);
	struct flow_state *flow = bpf_sk_storage_get(&xctl_flows, sk, 0, 0);
	struct xctl_tcp *e = xctl_reserve(&xctl_events, struct xctl_tcp, XCTL_TCP_CONNECT_FAILED);

	if (!e)
		return;
	fill(e, sk, owner, flow);
	e->flow.state = BPF_TCP_CLOSE;
	if (owner && owner->connect_ns)
		e->latency_ns = e->hdr.ts_ns - owner->connect_ns;
	e->err = e->tcp.sk_err;
	/* The program gave up first. */
	if (!e->err && e->tcp.sk_shutdown == SHUTDOWN_MASK)
		e->err = ECANCELED;
	xctl_submit(e);
	if (flow)
		end_trouble(flow);
}

static __always_inline void closed(struct sock *sk)
{
	struct sock_owner *owner = bpf_sk_storage_get(&xctl_owners, sk, 0, 0);
	struct flow_state *flow = bpf_sk_storage_get(&xctl_flows, sk, 0, 0);
	struct xctl_tcp *e;

	/* Nobody heard of it, so nobody has to let go of it. */
	if (!flow && !(owner && owner->told))
		return;
	e = xctl_reserve(&xctl_events, struct xctl_tcp, XCTL_TCP_CLOSE);
	if (!e)
		return;
	fill(e, sk, owner, flow);
	e->flow.state = BPF_TCP_CLOSE;
	e->err = e->tcp.sk_err;
	xctl_submit(e);
	if (flow)
		end_trouble(flow);
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(state__tp_btf, struct sock *sk, int old, int new)
{
	if (sk->sk_protocol != XCTL_IPPROTO_TCP)
		return 0;
	switch (new) {
	case BPF_TCP_SYN_SENT:
		connect_started(sk);
		break;
	case BPF_TCP_LISTEN:
		listening(sk);
		break;
	case BPF_TCP_FIN_WAIT1:
	case BPF_TCP_LAST_ACK:
		closing(sk);
		break;
	case BPF_TCP_ESTABLISHED:
		if (old == BPF_TCP_SYN_SENT)
			connected(sk);
		break;
	case BPF_TCP_CLOSE:
		if (old == BPF_TCP_SYN_SENT)
			connect_failed(sk);
		else if (old != BPF_TCP_LISTEN)
			closed(sk);
		break;
	}
	return 0;
}

/* ---- trouble ---------------------------------------------------------- */

/*
 * By RTO and not by an ACK or a loss probe: the timer clears icsk_pending before it retransmits, and
 * enters TCP_CA_Loss first.
 */
static __always_inline bool is_timeout(const struct inet_connection_sock *icsk)
{
	return !BPF_CORE_READ(icsk, icsk_pending) &&
	       BPF_CORE_READ_BITFIELD_PROBED(icsk, icsk_ca_state) == TCP_CA_Loss;
}

SEC("tp_btf/tcp_retransmit_skb")
int BPF_PROG(retransmit__tp_btf, struct sock *sk)
{
	struct inet_connection_sock *icsk = (void *)sk;
	struct tcp_sock *tp = (void *)sk;
	__u64 now = bpf_ktime_get_boot_ns();
	struct flow_state *flow;
	struct xctl_tcp *e;
	__u8 in_a_row;
	bool timeout, further;

	flow = bpf_sk_storage_get(&xctl_flows, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!flow) {
		xctl_count_loss(XCTL_LOST_STORAGE);
		return 0;
	}
	bpf_get_socket_cookie(sk);
	timeout = is_timeout(icsk);
	in_a_row = BPF_CORE_READ(icsk, icsk_retransmits);
	flow->retrans_events++;
	if (timeout)
		flow->timeout_events++;

	/* What was in doubt has been acked meanwhile: this is another trouble. */
	if (flow->since_ns && (__s32)(BPF_CORE_READ(tp, snd_una) - flow->doubt_seq) >= 0)
		flow->since_ns = 0;
	if (!flow->since_ns) {
		flow->since_ns = now;
		flow->doubt_seq = BPF_CORE_READ(tp, snd_nxt);
		flow->zero_window = 0;
	}
	if (in_a_row < flow->timeouts_told)
		flow->timeouts_told = 0;
	further = timeout && in_a_row > flow->timeouts_told;
	if (!further && now - flow->sent_ns < UPDATE_NS) {
		flow->suppressed++;
		return 0;
	}
	if (timeout)
		e = xctl_reserve(&xctl_events, struct xctl_tcp, XCTL_TCP_TIMEOUT);
	else
		e = xctl_reserve(&xctl_events, struct xctl_tcp, XCTL_TCP_RETRANSMIT);
	if (!e) {
		flow->suppressed++;
		return 0;
	}
	fill(e, sk, bpf_sk_storage_get(&xctl_owners, sk, 0, 0), flow);
	xctl_submit(e);
	flow->sent_ns = now;
	flow->suppressed = 0;
	if (timeout)
		flow->timeouts_told = in_a_row;
	return 0;
}

static __always_inline int on_reset(struct sock *sk, struct xctl_tcp *e, __u32 err)
{
	if (!e)
		return 0;
	fill(e, sk, bpf_sk_storage_get(&xctl_owners, sk, 0, 0), bpf_sk_storage_get(&xctl_flows, sk, 0, 0));
	e->err = err;
	xctl_submit(e);
	return 0;
}

/* In SYN_SENT it is a refused connect, told as such. */
static __always_inline bool had_connection(__u8 state)
{
	return state != BPF_TCP_SYN_SENT && state != BPF_TCP_LISTEN && xctl_is_full(state);
}

SEC("tp_btf/tcp_receive_reset")
int BPF_PROG(reset_received__tp_btf, struct sock *sk)
{
	__u8 state = sk->__sk_common.skc_state;

	if (!had_connection(state) || state == BPF_TCP_SYN_RECV)
		return 0;
	bpf_get_socket_cookie(sk);
	/* As tcp_reset() is about to set it. */
	return on_reset(sk, xctl_reserve(&xctl_events, struct xctl_tcp, XCTL_TCP_RESET_RECEIVED),
			state == BPF_TCP_CLOSE_WAIT ? EPIPE : ECONNRESET);
}

/* sk is NULL for a segment that belongs to no socket (6.10+ says so, too). */
SEC("tp_btf/tcp_send_reset")
int BPF_PROG(reset_sent__tp_btf, struct sock *sk)
{
	if (!sk || !had_connection(BPF_CORE_READ(sk, __sk_common.skc_state)))
		return 0;
	return on_reset(sk, xctl_reserve(&xctl_events, struct xctl_tcp, XCTL_TCP_RESET_SENT), ECONNRESET);
}

/* ---- passes over all descriptors -------------------------------------- */

/* The TCP socket behind a descriptor; NULL for anything else and for a thread that shares its table. */
static __always_inline struct sock *tcp_socket(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct socket *socket;
	struct sock *sk;

	if (!task || !file)
		return NULL;
	if (task->tgid != task->pid && task->files == task->group_leader->files)
		return NULL;
	socket = bpf_sock_from_file(file);
	if (!socket)
		return NULL;
	sk = socket->sk;
	if (!sk || sk->sk_protocol != XCTL_IPPROTO_TCP || !xctl_is_tcp(sk))
		return NULL;
	return sk;
}

/* Run once, after everything is attached: a probe that saw the owner wins over who merely holds it. */
SEC("iter/task_file")
int boot__iter(struct bpf_iter__task_file *ctx)
{
	struct sock *sk = tcp_socket(ctx);
	struct task_struct *task = ctx->task;
	struct sock_owner *owner;
	struct xctl_owner *o;
	__u64 start_ns;
	__u8 state;

	if (!sk || !task)
		return 0;
	state = sk->__sk_common.skc_state;
	if (state == BPF_TCP_CLOSE || !xctl_is_full(state))
		return 0;
	bpf_get_socket_cookie(sk);
	owner = xctl_owner_make(sk);
	if (!owner)
		return 0;
	o = &owner->o;
	start_ns = xctl_start_ns(task);
	if (state == BPF_TCP_LISTEN) {
		/* Of several holders the oldest is the likeliest to have set it up; a hint, and told as one. */
		if (o->created_pid && o->created_start_ns <= start_ns)
			return 0;
		xctl_owner_created(o, task, XCTL_HOW_LISTENER);
		xctl_owner_last(o, task, XCTL_HOW_LISTENER);
		return 0;
	}
	switch (o->last_how) {
	case XCTL_HOW_ITER:
		if (o->last_pid == (__u32)task->tgid && o->last_start_ns == start_ns)
			return 0;
		o->shared = 1;
		if (o->created_how == XCTL_HOW_ITER) {
			o->created_pid = 0;
			o->created_start_ns = 0;
			o->created_how = XCTL_HOW_NONE;
		}
		return 0;
	case XCTL_HOW_NONE:
	case XCTL_HOW_LISTENER:
		if (o->kernel)
			return 0;
		if (!o->created_pid)
			xctl_owner_created(o, task, XCTL_HOW_ITER);
		xctl_owner_last(o, task, XCTL_HOW_ITER);
		return 0;
	}
	return 0;
}

/* The peer takes no more: nothing is in flight, and what waits does not fit or is being probed for. */
static __always_inline bool window_closed(const struct sock *sk, struct xctl_tcp_state *s)
{
	__u32 mss = BPF_CORE_READ((struct tcp_sock *)sk, mss_cache);
	__u32 need = s->write_queue_bytes < mss ? s->write_queue_bytes : mss;

	return s->write_queue_bytes && !s->packets_out && (s->probes_out || s->snd_wnd < need);
}

/*
 * Updates that are due: recovery, a window that closed, what the rate limit held back, and once a
 * pass how a flow in trouble stands. Nothing is marked as told before it is written: a record that
 * does not fit makes the kernel show the same descriptor again.
 */
SEC("iter/task_file")
int flush__iter(struct bpf_iter__task_file *ctx)
{
	struct sock *sk = tcp_socket(ctx);
	struct xctl_tcp e = {};
	struct flow_state *flow;
	bool shut, over;
	__u64 now;
	__u8 state;

	if (!sk)
		return 0;
	state = sk->__sk_common.skc_state;
	if (state == BPF_TCP_LISTEN || state == BPF_TCP_CLOSE || !xctl_is_full(state))
		return 0;
	flow = bpf_sk_storage_get(&xctl_flows, sk, 0, 0);
	if (!(flow && (flow->since_ns || flow->suppressed)) &&
	    (BPF_CORE_READ((struct tcp_sock *)sk, packets_out) ||
	     BPF_CORE_READ((struct tcp_sock *)sk, write_seq) == BPF_CORE_READ((struct tcp_sock *)sk, snd_una)))
		return 0;
	xctl_fill_tcp_state(&e.tcp, sk);
	shut = window_closed(sk, &e.tcp);
	now = bpf_ktime_get_boot_ns();
	if (!flow) {
		if (!shut)
			return 0;
		flow = bpf_sk_storage_get(&xctl_flows, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
		if (!flow) {
			xctl_count_loss(XCTL_LOST_STORAGE);
			return 0;
		}
		bpf_get_socket_cookie(sk);
	}
	xctl_fill_flow(&e.flow, sk);
	over = flow->zero_window ? !shut : !e.tcp.packets_out || (__s32)(e.tcp.snd_una - flow->doubt_seq) >= 0;
	if (shut && !flow->zero_window) {
		/* Nothing was sent since the window closed, so that is when it did, or a little later. */
		flow->since_ns = e.tcp.last_snd_ms == XCTL_NEVER_MS ? now : now - e.tcp.last_snd_ms * 1000000ULL;
		xctl_fill_hdr(&e.hdr, XCTL_TCP_ZERO_WINDOW, sizeof(e));
	} else if (flow->since_ns && over) {
		xctl_fill_hdr(&e.hdr, XCTL_TCP_RECOVERED, sizeof(e));
	} else if ((flow->since_ns || flow->suppressed) && now - flow->sent_ns >= UPDATE_NS) {
		xctl_fill_hdr(&e.hdr, XCTL_TCP_STATE, sizeof(e));
	} else {
		return 0;
	}
	fill(&e, sk, bpf_sk_storage_get(&xctl_owners, sk, 0, 0), flow);
	if (bpf_seq_write(ctx->meta->seq, &e, sizeof(e)))
		return 0;
	flow->sent_ns = now;
	flow->suppressed = 0;
	if (e.hdr.kind == XCTL_TCP_RECOVERED)
		end_trouble(flow);
	else if (shut)
		flow->zero_window = 1;
	return 0;
}
