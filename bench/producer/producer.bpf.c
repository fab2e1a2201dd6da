/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Fills the rings as fast as the kernel can, through the very macros that the probes use. Run by
 * bpf_prog_test_run, so that no hook and no workload is needed; see producer.ts and producer.c.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include "xctl_events.h"
#include "lib/ring.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* Offsets are known to producer.ts and producer.c. */
struct produce_args {
	__u32 records; /* in: how many to try */
	__u32 flows; /* in: over how many flows they go round */
	__u32 discard_every; /* in: each n-th is discarded; 0 for none */
	__u32 shape; /* in: 0 xctl_tcp, 1 xctl_wait_same (40 bytes in the ring), 2 the same, critical */
	__u64 first; /* in: number of the first record, in tcp.bytes_acked or hdr.ts_ns */
	__u64 submitted; /* out, added to */
	__u64 discarded;
	__u64 refused; /* the ring was full */
};

#define AF_INET 2
#define TCP_ESTABLISHED_STATE 1

static __always_inline int produce_tcp(struct produce_args *a, __u32 i)
{
	struct xctl_tcp *e = xctl_reserve(&xctl_events, struct xctl_tcp, XCTL_TCP_STATE);
	__u32 flow = i % (a->flows ? a->flows : 1);

	if (!e)
		return -1;
	e->hdr.pid = 1000 + flow % 64;
	e->flow.cookie = flow + 1;
	e->flow.netns = 0xf0000000;
	e->flow.family = AF_INET;
	e->flow.lport = 20000 + flow % 40000;
	e->flow.rport = 29500;
	e->flow.state = TCP_ESTABLISHED_STATE;
	e->flow.laddr[0] = 10;
	e->flow.laddr[3] = 1;
	e->flow.raddr[0] = 10;
	e->flow.raddr[1] = flow >> 16;
	e->flow.raddr[2] = flow >> 8;
	e->flow.raddr[3] = flow;
	e->owner.created_pid = e->hdr.pid;
	e->owner.last_pid = e->hdr.pid;
	e->owner.created_start_ns = 1000000000ull * e->hdr.pid;
	e->owner.last_start_ns = e->owner.created_start_ns;
	e->owner.created_how = XCTL_HOW_CONNECT;
	e->owner.last_how = XCTL_HOW_SEND;
	__builtin_memcpy(e->owner.comm, "producer", 9);
	e->tcp.bytes_acked = a->first + i;
	e->tcp.snd_wnd = 65535;
	e->tcp.srtt_us = 100 + i % 1000;
	e->tcp.packets_out = i % 16;
	e->tcp.unacked_bytes = 1448 * (i % 16);
	if (a->discard_every && i % a->discard_every == 0) {
		xctl_discard(e);
		return 1;
	}
	xctl_submit(e);
	return 0;
}

static __always_inline int produce_same(struct produce_args *a, __u32 i)
{
	struct xctl_wait_same *e;

	if (a->shape == 2)
		e = xctl_reserve(&xctl_critical, struct xctl_wait_same, XCTL_WAIT_SAME);
	else
		e = xctl_reserve(&xctl_events, struct xctl_wait_same, XCTL_WAIT_SAME);
	if (!e)
		return -1;
	e->hdr.ts_ns = a->first + i;
	e->hdr.pid = 1000 + i % 64;
	e->tid = i;
	if (a->discard_every && i % a->discard_every == 0) {
		xctl_discard(e);
		return 1;
	}
	xctl_submit(e);
	return 0;
}

static long produce_one(__u32 i, struct produce_args *a)
{
	int done = a->shape == 0 ? produce_tcp(a, i) : produce_same(a, i);

	if (done < 0)
		a->refused++;
	else if (done > 0)
		a->discarded++;
	else
		a->submitted++;
	return 0;
}

SEC("syscall")
int produce(struct produce_args *args)
{
	/* clang may leave a neighbour in the upper half of the register, and the kernel looks at all of it. */
	__u32 records = *(volatile __u32 *)&args->records;
	struct produce_args a = *args;

	bpf_loop(records, produce_one, &a, 0);
	*args = a;
	return 0;
}
