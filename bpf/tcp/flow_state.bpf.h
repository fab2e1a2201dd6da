/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What is remembered of a connection while it lives, and how a record is filled from it. */
#ifndef XCTL_TCP_FLOW_STATE_BPF_H
#define XCTL_TCP_FLOW_STATE_BPF_H

#include "tcp/blocked.bpf.h"

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

/* All that was written so far is of whom the owner names; what comes after it is told by sends. */
static __always_inline void sent_so_far(struct sock_owner *owner, const struct sock *sk)
{
#ifdef XCTL_SENDS_SEEN_LATE
	owner->after = 1;
	owner->sent_seq = BPF_CORE_READ((struct tcp_sock *)sk, write_seq);
#endif
}

/* Bytes after the last send that was seen: of whom that is in the middle of one. */
static __always_inline void find_blocked(struct sock_owner *owner, const struct sock *sk, __u32 write_seq)
{
	struct task_struct *task;

	if (owner->o.kernel || !owner->after || owner->sent_seq == write_seq)
		return;
	task = blocked_sender(sk);
	if (!task || xctl_is_kthread(task))
		return;
	xctl_owner_last(&owner->o, task, XCTL_HOW_SEND);
	owner->sent_seq = write_seq;
}

static __always_inline void fill(struct xctl_tcp *e, const struct sock *sk,
				 struct sock_owner *owner, const struct flow_state *flow)
{
	__u32 write_seq;

	xctl_fill_flow(&e->flow, sk);
	xctl_fill_tcp_state(&e->tcp, sk);
	if (owner) {
		write_seq = e->tcp.snd_una + e->tcp.write_queue_bytes;
		find_blocked(owner, sk, write_seq);
		e->owner = owner->o;
		e->hdr.pid = xctl_owner_pid(owner, write_seq);
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

#endif
