/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Life of queue pairs: made, changed, gone; and those that were there before. Each change is a record of its own,
 * which holds what the change says and no more: user space puts them together.
 *
 * Made and gone are seen where the kernel begins and ends to account for the object, since both happen once and only
 * when the driver has agreed. A change is remembered by thread at its entry and told at its return.
 */
#ifndef XCTL_RDMA_QPS_BPF_H
#define XCTL_RDMA_QPS_BPF_H

#include "owner.bpf.h"

#define PF_EXITING 0x00000004

/* By address of the queue pair. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, XCTL_MAX_QPS);
	__type(key, __u64);
	__type(value, struct qp_owner);
} xctl_qps SEC(".maps");

struct modify_call {
	struct ib_qp *qp;
	struct ib_qp_attr *attr;
	__u32 mask;
	__u32 pad;
};

/* By thread. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, struct modify_call);
} xctl_modify_calls SEC(".maps");

/* As it is remembered; else by its restrack entry, as long as that task is there. */
static __always_inline void owner_of_qp(struct qp_owner *owner, const struct ib_qp *qp)
{
	__u64 key = (__u64)qp;
	struct qp_owner *known = bpf_map_lookup_elem(&xctl_qps, &key);

	if (known)
		*owner = *known;
	else
		owner_of_task(owner, BPF_CORE_READ(qp, res.task));
}

static __always_inline struct xctl_rdma_qp *reserve_qp(struct ib_qp *qp, __u8 type, __u8 change,
						       const struct qp_owner *owner)
{
	struct xctl_rdma_qp *e = xctl_reserve(&xctl_events, struct xctl_rdma_qp, XCTL_RDMA_QP);

	if (!e)
		return NULL;
	fill_owner(&e->hdr, &e->id, owner);
	fill_qp(&e->id, qp);
	e->type = type;
	e->change = change;
	return e;
}

/* ---- made, gone ------------------------------------------------------------ */

static __always_inline void qp_created(struct ib_qp *qp)
{
	struct qp_owner owner = {};
	struct xctl_rdma_qp *e;
	__u8 type = qp_type(qp);
	__u64 key = (__u64)qp;

	if (qp_is_special(type))
		return;
	owner_of_task(&owner, BPF_CORE_READ(qp, res.task));
	/* One that does not fit is found by its restrack entry each time. */
	if (bpf_map_update_elem(&xctl_qps, &key, &owner, BPF_ANY))
		xctl_count_loss(XCTL_LOST_TABLE_FULL);
	e = reserve_qp(qp, type, XCTL_QP_CREATE, &owner);
	if (e)
		xctl_submit(e);
}

static __always_inline void qp_destroyed(struct ib_qp *qp)
{
	struct task_struct *me = (void *)bpf_get_current_task();
	struct qp_owner owner = {};
	struct xctl_rdma_qp *e;
	__u8 type = qp_type(qp);
	__u64 key = (__u64)qp;

	if (qp_is_special(type))
		return;
	owner_of_qp(&owner, qp);
	bpf_map_delete_elem(&xctl_qps, &key);
	e = reserve_qp(qp, type, XCTL_QP_DESTROY, &owner);
	if (!e)
		return;
	/* The last of those that share it closes it; only its owner's end says something of it. */
	if ((__u32)BPF_CORE_READ(me, tgid) == owner.pid && (BPF_CORE_READ(me, flags) & PF_EXITING))
		e->flags |= XCTL_QF_EXITING;
	xctl_submit(e);
}

/* ---- changed --------------------------------------------------------------- */

static __always_inline void fill_modify(struct xctl_rdma_qp *e, const struct modify_call *call)
{
	const struct ib_qp_attr *attr = call->attr;
	const struct ib_qp *qp = call->qp;
	const struct ib_gid_attr *own;
	__u32 mask = call->mask;

	if (mask & IB_QP_STATE) {
		e->state = BPF_CORE_READ(attr, qp_state);
		e->flags |= XCTL_QF_STATE;
	}
	if (mask & IB_QP_PORT)
		e->id.port = BPF_CORE_READ(attr, port_num);
	if (mask & IB_QP_DEST_QPN) {
		e->remote_qpn = BPF_CORE_READ(attr, dest_qp_num);
		e->flags |= XCTL_QF_REMOTE_QPN;
	}
	if (mask & IB_QP_TIMEOUT) {
		e->timeout = BPF_CORE_READ(attr, timeout);
		e->flags |= XCTL_QF_TIMEOUT;
	}
	if (mask & IB_QP_RETRY_CNT) {
		e->retry_cnt = BPF_CORE_READ(attr, retry_cnt);
		e->flags |= XCTL_QF_RETRY_CNT;
	}
	if (mask & IB_QP_RNR_RETRY) {
		e->rnr_retry = BPF_CORE_READ(attr, rnr_retry);
		e->flags |= XCTL_QF_RNR_RETRY;
	}
	if (!(mask & IB_QP_AV))
		return;
	if (BPF_CORE_READ(attr, ah_attr.type) == RDMA_AH_ATTR_TYPE_IB) {
		e->remote_lid = BPF_CORE_READ(attr, ah_attr.ib.dlid);
		e->flags |= XCTL_QF_REMOTE_LID;
	}
	if (BPF_CORE_READ(attr, ah_attr.ah_flags) & IB_AH_GRH) {
		BPF_CORE_READ_INTO(&e->remote_gid, attr, ah_attr.grh.dgid);
		e->flags |= XCTL_QF_REMOTE_GID;
	}
	own = BPF_CORE_READ(qp, av_sgid_attr);
	if (own) {
		BPF_CORE_READ_INTO(&e->local_gid, own, gid);
		e->flags |= XCTL_QF_LOCAL;
	}
}

static __always_inline int modify_entered(struct ib_qp *qp, struct ib_qp_attr *attr, int mask)
{
	struct modify_call call = { .qp = qp, .attr = attr, .mask = mask };
	__u32 tid = bpf_get_current_pid_tgid();

	if (qp_is_special(qp_type(qp)))
		return 0;
	/* Still there: the return of this thread's last one was not seen. */
	if (bpf_map_lookup_elem(&xctl_modify_calls, &tid))
		xctl_count_loss(XCTL_LOST_RETURN);
	if (bpf_map_update_elem(&xctl_modify_calls, &tid, &call, BPF_ANY))
		xctl_count_loss(XCTL_LOST_TABLE_FULL);
	return 0;
}

static __always_inline int modify_returned(int err)
{
	__u32 tid = bpf_get_current_pid_tgid();
	struct modify_call *mark = bpf_map_lookup_elem(&xctl_modify_calls, &tid), call;
	struct qp_owner owner = {};
	struct xctl_rdma_qp *e;

	if (!mark)
		return 0;
	call = *mark;
	bpf_map_delete_elem(&xctl_modify_calls, &tid);
	owner_of_qp(&owner, call.qp);
	e = reserve_qp(call.qp, qp_type(call.qp), XCTL_QP_MODIFY, &owner);
	if (!e)
		return 0;
	if (err)
		e->err = err;
	else
		fill_modify(e, &call);
	xctl_submit(e);
	return 0;
}

/* ---- was there before -------------------------------------------------------- */

/* What these two drivers keep in memory; others have it in the device, where only a query would find it. */
static __always_inline void fill_from_driver(struct xctl_rdma_qp *e, struct ib_qp *qp)
{
	__u32 driver = BPF_CORE_READ(qp, device, ops.driver_id);

	if (driver == RDMA_DRIVER_RXE && bpf_core_type_exists(struct rxe_qp)) {
		struct rxe_qp *rxe = (void *)qp - bpf_core_field_offset(struct rxe_qp, ibqp);

		e->state = BPF_CORE_READ(rxe, attr.qp_state);
		e->remote_qpn = BPF_CORE_READ(rxe, attr.dest_qp_num);
		e->timeout = BPF_CORE_READ(rxe, attr.timeout);
		e->retry_cnt = BPF_CORE_READ(rxe, attr.retry_cnt);
		e->rnr_retry = BPF_CORE_READ(rxe, attr.rnr_retry);
		BPF_CORE_READ_INTO(&e->remote_gid, rxe, pri_av.grh.dgid);
		e->flags |= XCTL_QF_STATE;
		/* From RTR (2) on it has a peer, from RTS (3) on its timeouts. */
		if (e->state >= 2)
			e->flags |= XCTL_QF_REMOTE_QPN | XCTL_QF_REMOTE_GID;
		if (e->state >= 3)
			e->flags |= XCTL_QF_TIMEOUT | XCTL_QF_RETRY_CNT | XCTL_QF_RNR_RETRY;
	} else if (driver == RDMA_DRIVER_MLX5 && bpf_core_type_exists(struct mlx5_ib_qp)) {
		struct mlx5_ib_qp *mlx5 = (void *)qp - bpf_core_field_offset(struct mlx5_ib_qp, ibqp);

		e->state = BPF_CORE_READ(mlx5, state);
		e->flags |= XCTL_QF_STATE;
	}
}

static __always_inline void qp_seen(struct ib_qp *qp)
{
	const struct ib_gid_attr *own;
	struct qp_owner owner = {};
	struct xctl_rdma_qp *e;
	__u8 type = qp_type(qp);
	__u64 key = (__u64)qp;

	/* Told already: made since the programs were attached, or the file is another process's too. */
	if (qp_is_special(type) || bpf_map_lookup_elem(&xctl_qps, &key))
		return;
	owner_of_task(&owner, BPF_CORE_READ(qp, res.task));
	if (bpf_map_update_elem(&xctl_qps, &key, &owner, BPF_NOEXIST))
		xctl_count_loss(XCTL_LOST_TABLE_FULL);
	e = reserve_qp(qp, type, XCTL_QP_SEEN, &owner);
	if (!e)
		return;
	own = BPF_CORE_READ(qp, av_sgid_attr);
	if (own) {
		BPF_CORE_READ_INTO(&e->local_gid, own, gid);
		e->flags |= XCTL_QF_LOCAL;
	}
	fill_from_driver(e, qp);
	xctl_submit(e);
}

#endif
