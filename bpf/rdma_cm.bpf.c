// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Probe `rdma`: what the RDMA connection manager tells programs (rdma_ucm): requests, connections, refusals, peers
 * that cannot be reached. One record an event, each of which is a connection's; NCCL does not use it, MPI, storage and
 * many others do.
 *
 * An object of its own: its modules come later than ib_core, or never. By kprobe, as bpf/rdma.bpf.c says why.
 * Minimum kernel: 5.13. Cost: nothing but for events.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_tracing.h>
#include "xctl_events.h"
#include "lib/ring.bpf.h"
#include "lib/task.bpf.h"
#include "rdma/owner.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define AF_INET 2
#define AF_INET6 10

static __always_inline void fill_address(__u8 *out, __u16 *port, __u16 *family, const void *from)
{
	struct sockaddr_in6 v6 = {};
	struct sockaddr_in *v4 = (void *)&v6;

	if (bpf_probe_read_kernel(&v6, sizeof(v6), from))
		return;
	if (v6.sin6_family == AF_INET) {
		__builtin_memcpy(out, &v4->sin_addr, 4);
		*port = bpf_ntohs(v4->sin_port);
	} else if (v6.sin6_family == AF_INET6) {
		__builtin_memcpy(out, &v6.sin6_addr, 16);
		*port = bpf_ntohs(v6.sin6_port);
	} else {
		return;
	}
	*family = v6.sin6_family;
}

SEC("kprobe/ucma_event_handler")
int BPF_KPROBE(connection__kprobe, struct rdma_cm_id *id, struct rdma_cm_event *event)
{
	struct rdma_id_private *private = (void *)id - bpf_core_field_offset(struct rdma_id_private, id);
	const void *addr = (void *)id + bpf_core_field_offset(struct rdma_cm_id, route.addr);
	struct ib_device *device = BPF_CORE_READ(id, device);
	struct qp_owner owner = {};
	struct xctl_rdma_cm *e;

	owner_of_task(&owner, BPF_CORE_READ(private, res.task));
	e = xctl_reserve(&xctl_events, struct xctl_rdma_cm, XCTL_RDMA_CM);
	if (!e)
		return 0;
	fill_owner(&e->hdr, &e->id, &owner);
	/* Before its address is resolved it has none. */
	if (device) {
		fill_device(&e->id, device);
		e->id.port = BPF_CORE_READ(id, port_num);
	}
	e->id.qpn = BPF_CORE_READ(private, qp_num);
	e->id.netns = BPF_CORE_READ(id, route.addr.dev_addr.net, ns.inum);
	fill_address(e->laddr, &e->lport, &e->family, addr + bpf_core_field_offset(struct rdma_addr, src_addr));
	fill_address(e->raddr, &e->rport, &e->family, addr + bpf_core_field_offset(struct rdma_addr, dst_addr));
	e->event = BPF_CORE_READ(event, event);
	e->status = BPF_CORE_READ(event, status);
	xctl_submit(e);
	return 0;
}
