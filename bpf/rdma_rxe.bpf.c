// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Probe `rdma`, for Soft-RoCE (rdma_rxe), whose data path is the kernel's: what each queue pair sends again and why,
 * and those that give up, with the status of the work request that failed.
 *
 *   retry      an answer comes: one look at a flag, unless a retry has begun before it (rdma/retries.bpf.h)
 *   timer      an answer is late: a retry may have begun, or begins now and is seen by the next pass
 *   rnr        the peer had no receive posted, and the time it asked for is over: it is sent again
 *   gave_up    a queue pair goes into ERR, not being asked to
 *   begun      a queue pair is made, ended: it is gone
 *   retries    a pass over those in trouble, when user space asks for it: what is over, what was not told yet
 *
 * An answer comes for each packet or few, too often for a kprobe: it is fentry where that can be had. This holds
 * the module, so that it is attached only while there is a device of its kind (src/probes/rdma-modules.ts): take
 * those away, and a second later `rmmod rdma_rxe` works.
 *
 * Minimum kernel: 5.13, `retries` 5.13 (bpf_for_each_map_elem). Cost: docs/rdma.md.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include "xctl_events.h"
#include "lib/ring.bpf.h"
#include "lib/task.bpf.h"
#include "rdma/retries.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

SEC("fentry/rxe_comp_queue_pkt")
int BPF_PROG(retry__fentry, struct rxe_qp *qp)
{
	/* As a rule it ends here: no helper is called. */
	return qp->comp.started_retry ? look_at(qp) : 0;
}

SEC("kprobe/rxe_comp_queue_pkt")
int BPF_KPROBE(retry__kprobe, struct rxe_qp *qp)
{
	return look_at(qp);
}

SEC("fentry/retransmit_timer")
int BPF_PROG(timer__fentry, struct timer_list *timer)
{
	return timer_fired((void *)timer - bpf_core_field_offset(struct rxe_qp, retrans_timer));
}

SEC("kprobe/retransmit_timer")
int BPF_KPROBE(timer__kprobe, struct timer_list *timer)
{
	return timer_fired((void *)timer - bpf_core_field_offset(struct rxe_qp, retrans_timer));
}

static __always_inline int rnr_is_over(struct timer_list *timer)
{
	struct rxe_qp *qp = (void *)timer - bpf_core_field_offset(struct rxe_qp, rnr_nak_timer);

	note_retry(qp, 0, 1);
	return 0;
}

SEC("fentry/rnr_nak_timer")
int BPF_PROG(rnr__fentry, struct timer_list *timer)
{
	return rnr_is_over(timer);
}

SEC("kprobe/rnr_nak_timer")
int BPF_KPROBE(rnr__kprobe, struct timer_list *timer)
{
	return rnr_is_over(timer);
}

/*
 * Status of the work request that was completed last: whoever gives up completes it just before. The queue is shared
 * with the program, which may have written anything there: a number that is none is taken for none.
 */
static __always_inline __u32 sent_status(struct rxe_qp *qp)
{
	struct rxe_queue *queue = BPF_CORE_READ(qp, sq.queue);
	__u32 index = (BPF_CORE_READ(queue, index) - 1) & BPF_CORE_READ(queue, index_mask);
	void *data = (void *)BPF_CORE_READ(queue, buf) + bpf_core_field_offset(struct rxe_queue_buf, data);
	struct rxe_send_wqe *wqe = data + ((__u64)index << (BPF_CORE_READ(queue, log2_elem_size) & 31));
	__u32 status = BPF_CORE_READ(wqe, status);

	return status == IB_WC_WR_FLUSH_ERR || status > IB_WC_GENERAL_ERR ? 0 : status;
}

static __always_inline int qp_gives_up(struct rxe_qp *qp)
{
	struct xctl_rdma_completion *c;
	struct qp_owner owner = {};
	struct xctl_rdma_qp *e;
	__u32 status;

	/* It was asked to, or is there already. */
	if (BPF_CORE_READ(qp, attr.qp_state) == IB_QPS_ERR)
		return 0;
	owner_of_task(&owner, BPF_CORE_READ(qp, ibqp.res.task));
	status = sent_status(qp) ?: BPF_CORE_READ(qp, resp.status);
	c = status ? xctl_reserve(&xctl_events, struct xctl_rdma_completion, XCTL_RDMA_COMPLETION) : NULL;
	if (c) {
		fill_owner(&c->hdr, &c->id, &owner);
		fill_qp(&c->id, &qp->ibqp);
		c->status = status;
		xctl_submit(c);
	}
	e = xctl_reserve(&xctl_events, struct xctl_rdma_qp, XCTL_RDMA_QP);
	if (!e)
		return 0;
	fill_owner(&e->hdr, &e->id, &owner);
	fill_qp(&e->id, &qp->ibqp);
	e->type = qp_type(&qp->ibqp);
	e->change = XCTL_QP_ERROR;
	e->state = IB_QPS_ERR;
	e->flags = XCTL_QF_STATE;
	xctl_submit(e);
	return 0;
}

SEC("fentry/rxe_qp_error")
int BPF_PROG(gave_up__fentry, struct rxe_qp *qp)
{
	return qp_gives_up(qp);
}

SEC("kprobe/rxe_qp_error")
int BPF_KPROBE(gave_up__kprobe, struct rxe_qp *qp)
{
	return qp_gives_up(qp);
}

static __always_inline bool is_qp(struct rdma_restrack_entry *res)
{
	return BPF_CORE_READ(res, type) == bpf_core_enum_value(enum rdma_restrack_type, RDMA_RESTRACK_QP);
}

SEC("kprobe/rdma_restrack_add")
int BPF_KPROBE(begun__kprobe, struct rdma_restrack_entry *res)
{
	if (is_qp(res))
		account_begins(qp_of_res(res));
	return 0;
}

SEC("kprobe/rdma_restrack_del")
int BPF_KPROBE(ended__kprobe, struct rdma_restrack_entry *res)
{
	if (is_qp(res))
		retries_end((void *)qp_of_res(res) - bpf_core_field_offset(struct rxe_qp, ibqp));
	return 0;
}

/* Acts once a pass; the walk over tasks is only what carries it. */
SEC("iter/task")
int retries__iter(struct bpf_iter__task *ctx)
{
	if (ctx->task && !ctx->meta->seq_num)
		bpf_for_each_map_elem(&xctl_rxe_retries, visit_retries, NULL, 0);
	return 0;
}
