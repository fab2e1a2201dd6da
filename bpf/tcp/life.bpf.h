/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Made, refused, closed: the changes of state that are told as they are. */
#ifndef XCTL_TCP_LIFE_BPF_H
#define XCTL_TCP_LIFE_BPF_H

#include "senders.bpf.h"

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

	if (owner)
		sent_so_far(owner, sk);
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

#endif
