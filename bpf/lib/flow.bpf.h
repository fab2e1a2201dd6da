/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A TCP socket as data: xctl_fill_flow() who talks to whom, xctl_fill_tcp_state() how it goes.
 * Only probe reads, so the socket may be an untrusted pointer (iterators, fd tables) and nothing is
 * locked: two fields may be a packet apart. Both want zeroed structs.
 * Minimum kernel 5.8. Cost: about 15 and 25 probe reads, 0.2-0.4 us together.
 */
#ifndef XCTL_FLOW_BPF_H
#define XCTL_FLOW_BPF_H

#include "compat.bpf.h"
#include <bpf/bpf_endian.h>

#define XCTL_AF_INET 2
#define XCTL_AF_INET6 10
#define XCTL_IPPROTO_TCP 6

/* xctl_tcp_state.last_rcv_ms, last_snd_ms: not since the socket was made. */
#define XCTL_NEVER_MS 0xffffffffu

static __always_inline bool xctl_is_tcp(const struct sock *sk)
{
	__u16 family = BPF_CORE_READ(sk, __sk_common.skc_family);

	return (family == XCTL_AF_INET || family == XCTL_AF_INET6) &&
	       BPF_CORE_READ(sk, sk_protocol) == XCTL_IPPROTO_TCP;
}

/* TIME_WAIT and NEW_SYN_RECV are other, smaller structs behind the same pointer type. */
static __always_inline bool xctl_is_full(__u8 state)
{
	return state != BPF_TCP_TIME_WAIT && state != BPF_TCP_NEW_SYN_RECV;
}

static __always_inline bool xctl_v4_mapped(const __u8 *a)
{
	const __u32 *w = (const __u32 *)a;

	return !w[0] && !w[1] && w[2] == bpf_htonl(0xffff);
}

static __always_inline void xctl_keep_v4(__u8 *a)
{
	__u32 *w = (__u32 *)a;

	w[0] = w[3];
	w[1] = w[2] = w[3] = 0;
}

/* A v6 socket with a v4-mapped peer is shown as what is on the wire: IPv4. */
static __always_inline void xctl_fill_flow(struct xctl_flow *flow, const struct sock *sk)
{
	const struct inet_connection_sock *icsk = (const void *)sk;
	const struct inet_sock *inet = (const void *)sk;
	__u16 sport = 0;

	flow->cookie = BPF_CORE_READ(sk, __sk_common.skc_cookie.counter);
	flow->netns = BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum);
	flow->family = BPF_CORE_READ(sk, __sk_common.skc_family);
	flow->state = BPF_CORE_READ(sk, __sk_common.skc_state);
	flow->rport = bpf_ntohs(BPF_CORE_READ(sk, __sk_common.skc_dport));
	flow->lport = BPF_CORE_READ(sk, __sk_common.skc_num);
	if (xctl_is_full(flow->state)) {
		/* skc_num is given back on the way to CLOSE, before the tracepoint; this one stays. */
		sport = BPF_CORE_READ(inet, inet_sport);
		if (sport)
			flow->lport = bpf_ntohs(sport);
		flow->ca_state = BPF_CORE_READ_BITFIELD_PROBED(icsk, icsk_ca_state);
	}
	if (flow->family == XCTL_AF_INET6) {
		BPF_CORE_READ_INTO(&flow->laddr, sk, __sk_common.skc_v6_rcv_saddr);
		BPF_CORE_READ_INTO(&flow->raddr, sk, __sk_common.skc_v6_daddr);
		if (xctl_v4_mapped(flow->raddr)) {
			flow->family = XCTL_AF_INET;
			xctl_keep_v4(flow->laddr);
			xctl_keep_v4(flow->raddr);
		}
	} else {
		BPF_CORE_READ_INTO((__u32 *)flow->laddr, sk, __sk_common.skc_rcv_saddr);
		BPF_CORE_READ_INTO((__u32 *)flow->raddr, sk, __sk_common.skc_daddr);
	}
}

/* Jiffies stamps are 32 bits wide; 0 means never. */
static __always_inline __u32 xctl_ms_since(__u32 stamp, __u32 hz)
{
	__u32 now = bpf_jiffies64();

	if (!stamp)
		return XCTL_NEVER_MS;
	return (__s32)(now - stamp) <= 0 ? 0 : (__u64)(now - stamp) * 1000 / hz;
}

static __always_inline void xctl_fill_tcp_state(struct xctl_tcp_state *s, const struct sock *sk)
{
	const struct inet_connection_sock *icsk = (const void *)sk;
	const struct tcp_sock *tp = (const void *)sk;
	__u32 hz, data_rcvd, ack_rcvd, copied, write_seq;

	if (!xctl_is_full(BPF_CORE_READ(sk, __sk_common.skc_state)))
		return;
	hz = xctl_hz(sk);
	s->bytes_acked = BPF_CORE_READ(tp, bytes_acked);
	s->bytes_received = BPF_CORE_READ(tp, bytes_received);
	s->snd_una = BPF_CORE_READ(tp, snd_una);
	s->snd_nxt = BPF_CORE_READ(tp, snd_nxt);
	s->rcv_nxt = BPF_CORE_READ(tp, rcv_nxt);
	s->snd_wnd = BPF_CORE_READ(tp, snd_wnd);
	s->srtt_us = BPF_CORE_READ(tp, srtt_us) >> 3;
	s->rto_us = (__u64)BPF_CORE_READ(icsk, icsk_rto) * 1000000 / hz;
	s->packets_out = BPF_CORE_READ(tp, packets_out);
	s->unacked_bytes = s->snd_nxt - s->snd_una;
	/* Read one after the other: an ACK in between must not make 4 GB of it. */
	write_seq = BPF_CORE_READ(tp, write_seq);
	s->write_queue_bytes = (__s32)(write_seq - s->snd_una) > 0 ? write_seq - s->snd_una : 0;
	copied = BPF_CORE_READ(tp, copied_seq);
	s->rcv_queue_bytes = (__s32)(s->rcv_nxt - copied) > 0 ? s->rcv_nxt - copied : 0;
	s->retransmits = BPF_CORE_READ(icsk, icsk_retransmits);
	s->total_retrans = BPF_CORE_READ(tp, total_retrans);
	s->backoff = BPF_CORE_READ(icsk, icsk_backoff);
	s->probes_out = BPF_CORE_READ(icsk, icsk_probes_out);
	/* lrcvtime: data; rcv_tstamp: ACKs. */
	data_rcvd = BPF_CORE_READ(icsk, icsk_ack.lrcvtime);
	ack_rcvd = BPF_CORE_READ(tp, rcv_tstamp);
	if (!data_rcvd || (ack_rcvd && (__s32)(ack_rcvd - data_rcvd) > 0))
		data_rcvd = ack_rcvd;
	s->last_rcv_ms = xctl_ms_since(data_rcvd, hz);
	s->last_snd_ms = xctl_ms_since(BPF_CORE_READ(tp, lsndtime), hz);
	s->sk_err = BPF_CORE_READ(sk, sk_err);
	s->sk_shutdown = BPF_CORE_READ(sk, sk_shutdown);
}

#endif
