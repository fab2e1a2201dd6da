// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Probe `rdma`: queue pairs, their owners and peers, registered memory, asynchronous events: all that goes through the
 * kernel's verbs (ib_core, ib_uverbs), whatever the device. What a program posts and polls does not (docs/rdma.md).
 *
 *   created, destroyed   the kernel begins and ends to account for an object (rdma_restrack_add, _del)
 *   modify, modified     a queue pair is changed: state, peer, timeouts; the second at the return, with its errno
 *   qp_event, cq_event   the driver says that something has gone wrong with one of them
 *   port_event           and with a port or the device
 *   seen                 a pass over open files, for what was there before (files.bpf.h)
 *
 * Kprobes, although fentry would cost a fifth: they let go when the module that they are in is unloaded, whereas an
 * fentry program holds it: an agent must not be why a driver cannot be replaced. None of these is on the path of data.
 *
 * Loaded once the modules are there (src/probes/rdma-modules.ts). Minimum kernel: 5.13, `seen` 5.17 (bpf_loop).
 * Cost: docs/rdma.md.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include "xctl_events.h"
#include "lib/ring.bpf.h"
#include "lib/task.bpf.h"
#include "rdma/files.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

static __always_inline bool is_qp(struct rdma_restrack_entry *res)
{
	return BPF_CORE_READ(res, type) == bpf_core_enum_value(enum rdma_restrack_type, RDMA_RESTRACK_QP);
}

static __always_inline bool is_mr(struct rdma_restrack_entry *res)
{
	return BPF_CORE_READ(res, type) == bpf_core_enum_value(enum rdma_restrack_type, RDMA_RESTRACK_MR);
}

SEC("kprobe/rdma_restrack_add")
int BPF_KPROBE(created__kprobe, struct rdma_restrack_entry *res)
{
	if (is_qp(res))
		qp_created(qp_of_res(res));
	else if (is_mr(res))
		region_added(mr_of_res(res));
	return 0;
}

SEC("kprobe/rdma_restrack_del")
int BPF_KPROBE(destroyed__kprobe, struct rdma_restrack_entry *res)
{
	if (is_qp(res))
		qp_destroyed(qp_of_res(res));
	else if (is_mr(res))
		region_removed(mr_of_res(res));
	return 0;
}

/* A program's queue pair, and one of the kernel's. */
SEC("kprobe/ib_modify_qp_with_udata")
int BPF_KPROBE(modify__kprobe, struct ib_qp *qp, struct ib_qp_attr *attr, int mask)
{
	return modify_entered(qp, attr, mask);
}

SEC("kretprobe/ib_modify_qp_with_udata")
int BPF_KRETPROBE(modified__kretprobe, int err)
{
	return modify_returned(err);
}

SEC("kprobe/ib_modify_qp")
int BPF_KPROBE(kernel_modify__kprobe, struct ib_qp *qp, struct ib_qp_attr *attr, int mask)
{
	return modify_entered(qp, attr, mask);
}

SEC("kretprobe/ib_modify_qp")
int BPF_KRETPROBE(kernel_modified__kretprobe, int err)
{
	return modify_returned(err);
}

SEC("kprobe/ib_uverbs_qp_event_handler")
int BPF_KPROBE(qp_event__kprobe, struct ib_event *event)
{
	struct ib_qp *qp = BPF_CORE_READ(event, element.qp);
	__u32 what = BPF_CORE_READ(event, event);
	struct qp_owner owner = {};
	struct xctl_rdma_async *e;

	/* Of every connection that goes well. */
	if (what == IB_EVENT_COMM_EST || what == IB_EVENT_SQ_DRAINED)
		return 0;
	owner_of_qp(&owner, qp);
	e = xctl_reserve(&xctl_events, struct xctl_rdma_async, XCTL_RDMA_ASYNC);
	if (!e)
		return 0;
	fill_owner(&e->hdr, &e->id, &owner);
	fill_qp(&e->id, qp);
	e->event = what;
	xctl_submit(e);
	return 0;
}

SEC("kprobe/ib_uverbs_cq_event_handler")
int BPF_KPROBE(cq_event__kprobe, struct ib_event *event)
{
	struct ib_cq *cq = BPF_CORE_READ(event, element.cq);
	struct qp_owner owner = {};
	struct xctl_rdma_async *e;

	owner_of_task(&owner, BPF_CORE_READ(cq, res.task));
	e = xctl_reserve(&xctl_events, struct xctl_rdma_async, XCTL_RDMA_ASYNC);
	if (!e)
		return 0;
	fill_owner(&e->hdr, &e->id, &owner);
	fill_device(&e->id, BPF_CORE_READ(cq, device));
	e->event = BPF_CORE_READ(event, event);
	xctl_submit(e);
	return 0;
}

SEC("kprobe/ib_dispatch_event")
int BPF_KPROBE(port_event__kprobe, struct ib_event *event)
{
	struct xctl_rdma_async *e = xctl_reserve(&xctl_events, struct xctl_rdma_async, XCTL_RDMA_ASYNC);

	if (!e)
		return 0;
	fill_device(&e->id, BPF_CORE_READ(event, device));
	e->id.port = BPF_CORE_READ(event, element.port_num);
	e->event = BPF_CORE_READ(event, event);
	xctl_submit(e);
	return 0;
}

SEC("iter/task_file")
int seen__iter(struct bpf_iter__task_file *ctx)
{
	struct task_struct *t = ctx->task;
	struct file *file = ctx->file;

	if (t && file)
		visit_file(file);
	return 0;
}
