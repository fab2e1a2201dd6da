/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Retransmits, timeouts and resets: counted in the socket, told when they change its state. */
#ifndef XCTL_TCP_TROUBLE_BPF_H
#define XCTL_TCP_TROUBLE_BPF_H

#include "flow_state.bpf.h"

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

#endif
