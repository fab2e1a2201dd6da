/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Whose queue pair is this? The kernel keeps the task that created it with it (restrack), in every context: timers,
 * softirqs and work queues know it as well as the program's own calls. No guess is made from the current task.
 *
 * That task is a thread, and once it has ended its thread group's leader may be gone while the thread's own
 * task_struct is kept: so an owner is read when the queue pair is made, and looked up afterwards.
 */
#ifndef XCTL_RDMA_OWNER_BPF_H
#define XCTL_RDMA_OWNER_BPF_H

#include "types.bpf.h"

#define XCTL_MAX_QPS 16384

struct qp_owner {
	__u64 start_ns;
	__u32 pid; /* 0: the kernel's own */
	__u32 netns;
	char comm[XCTL_COMM_LEN];
};

static __always_inline void owner_of_task(struct qp_owner *owner, const struct task_struct *task)
{
	struct task_struct *leader;

	if (!task)
		return;
	leader = BPF_CORE_READ(task, group_leader);
	owner->pid = BPF_CORE_READ(task, tgid);
	owner->start_ns = BPF_CORE_READ(leader, start_boottime);
	owner->netns = BPF_CORE_READ(task, nsproxy, net_ns, ns.inum);
	BPF_CORE_READ_INTO(&owner->comm, leader, comm);
}

static __always_inline void fill_owner(struct xctl_hdr *hdr, struct xctl_rdma_id *id, const struct qp_owner *owner)
{
	hdr->pid = owner->pid;
	id->start_ns = owner->start_ns;
	id->netns = owner->netns;
	__builtin_memcpy(id->comm, owner->comm, sizeof(id->comm));
}

static __always_inline void fill_device(struct xctl_rdma_id *id, const struct ib_device *device)
{
	id->dev = BPF_CORE_READ(device, index);
	BPF_CORE_READ_STR_INTO(&id->device, device, name);
}

static __always_inline void fill_qp(struct xctl_rdma_id *id, const struct ib_qp *qp)
{
	fill_device(id, BPF_CORE_READ(qp, device));
	id->qpn = BPF_CORE_READ(qp, qp_num);
	id->port = BPF_CORE_READ(qp, port);
}

/* Beyond 255 are those that a driver makes for itself. */
static __always_inline __u8 qp_type(const struct ib_qp *qp)
{
	__u32 type = BPF_CORE_READ(qp, qp_type);

	return type <= 255 ? type : IB_QPT_SMI;
}

/* The subnet's and connection manager's own, one a port: not worth a record. */
static __always_inline bool qp_is_special(__u8 type)
{
	return type == IB_QPT_SMI || type == IB_QPT_GSI;
}

static __always_inline struct ib_qp *qp_of_res(struct rdma_restrack_entry *res)
{
	return (void *)res - bpf_core_field_offset(struct ib_qp, res);
}

#endif
