/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What queue pairs of Soft-RoCE send again, summed up by queue pair: one that is told of at once, then four records a
 * second at most, and whatever has come since at the next pass.
 *
 * A retry begins in rxe_completer(), which counts it for the device, marks the queue pair (started_retry), and then may
 * run the requester at once. What is seen is the mark, which stays until a later call has an answer, and whether the
 * device has counted more than is accounted for: then one of these is this queue pair's. The mark alone would not do, nor
 * would the timer's: with nothing on its way a timeout counts as none. So the sum over queue pairs is the
 * counter's, always; of two that are in trouble at the same time one may be given a retry of the other's.
 *
 * The mark is looked at when the next answer is queued for the completer, which will clear it; when the ACK timer fires; in
 * each pass; and at the queue pair's end. None is missed: once a retry has begun, what comes next is an answer to what was
 * sent again. To look at the completer itself, which runs twice an answer, costs 2.3 % of a small write (fexit; fentry 2).
 * The timer (retransmit_timer) also sees to it that there is a pass for the first retry to a peer that is silent. It
 * is no measure: it fires about twice as often as anything is sent again.
 */
#ifndef XCTL_RDMA_RETRIES_BPF_H
#define XCTL_RDMA_RETRIES_BPF_H

#include "owner.bpf.h"

#define TELL_EVERY_NS 250000000ULL

struct retries {
	__u64 since_ns; /* 0: it has been answered */
	__u64 told_ns;
	__u64 total;
	__u64 total_rnr;
	/* Not told of yet. */
	__u32 retries;
	__u32 timeouts;
	__u32 rnr;
	__u32 psn; /* up to which all was acked when it last began again */
	__u32 qpn; /* an address is used again, a number hardly ever */
	__u32 late; /* its ACK timer has fired, and nothing came of it yet */
};

/* By address of the queue pair; only those that were ever in trouble. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, __u64);
	__type(value, struct retries);
} xctl_rxe_retries SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, __u32);
	__type(value, struct xctl_rxe_device);
} xctl_rxe_devices SEC(".maps");

static __always_inline struct retries *retries_of(struct rxe_qp *qp)
{
	__u32 qpn = BPF_CORE_READ(qp, ibqp.qp_num);
	struct retries fresh = {}, *known;
	__u64 key = (__u64)qp;

	known = bpf_map_lookup_elem(&xctl_rxe_retries, &key);
	if (known && known->qpn == qpn)
		return known;
	fresh.qpn = qpn;
	bpf_map_update_elem(&xctl_rxe_retries, &key, &fresh, BPF_ANY);
	known = bpf_map_lookup_elem(&xctl_rxe_retries, &key);
	if (!known)
		xctl_count_loss(XCTL_LOST_TABLE_FULL);
	return known;
}

static __always_inline void tell_retries(struct rxe_qp *qp, struct retries *r, __u64 now_ns)
{
	struct xctl_rdma_retry *e = xctl_reserve(&xctl_events, struct xctl_rdma_retry, XCTL_RDMA_RETRY);
	struct qp_owner owner = {};

	if (!e)
		return;
	r->told_ns = now_ns;
	owner_of_task(&owner, BPF_CORE_READ(qp, ibqp.res.task));
	fill_owner(&e->hdr, &e->id, &owner);
	fill_qp(&e->id, &qp->ibqp);
	e->since_ns = r->since_ns;
	e->total_retries = r->total;
	e->total_rnr = r->total_rnr;
	e->retries = __sync_lock_test_and_set(&r->retries, 0);
	e->timeouts = __sync_lock_test_and_set(&r->timeouts, 0);
	e->rnr = __sync_lock_test_and_set(&r->rnr, 0);
	e->retries_left = BPF_CORE_READ(qp, comp.retry_cnt);
	xctl_submit(e);
}

/* A timer and an answer may note at once: hence atomic. */
static __always_inline void note_retry(struct rxe_qp *qp, __u32 retries, __u32 rnr)
{
	__u64 now_ns = bpf_ktime_get_boot_ns();
	struct retries *r = retries_of(qp);
	__u32 psn;

	if (!r)
		return;
	psn = BPF_CORE_READ(qp, comp.psn);
	/* Something was acked in between: that trouble is over, this is another. */
	if (!r->since_ns || r->psn != psn)
		r->since_ns = now_ns;
	r->psn = psn;
	__sync_fetch_and_add(&r->total, retries);
	__sync_fetch_and_add(&r->total_rnr, rnr);
	__sync_fetch_and_add(&r->retries, retries);
	if (retries)
		__sync_fetch_and_add(&r->timeouts, __sync_lock_test_and_set(&r->late, 0));
	__sync_fetch_and_add(&r->rnr, rnr);
	if (now_ns - r->told_ns >= TELL_EVERY_NS)
		tell_retries(qp, r, now_ns);
}

/* ---- a retry begins ---------------------------------------------------------- */

static __always_inline __u64 device_retries(struct ib_device *device)
{
	struct rxe_dev *rxe = (void *)device - bpf_core_field_offset(struct rxe_dev, ib_dev);
	__u32 index = bpf_core_enum_value(enum rxe_counters, RXE_CNT_COMP_RETRY);
	void *counters = (void *)rxe + bpf_core_field_offset(struct rxe_dev, stats_counters);
	__u64 count = 0;

	bpf_probe_read_kernel(&count, sizeof(count), counters + index * sizeof(__u64));
	return count;
}

static __always_inline struct xctl_rxe_device *account_of(struct ib_device *device, __u64 first)
{
	struct xctl_rxe_device *known, fresh = { .first = first };
	__u32 index = BPF_CORE_READ(device, index);

	known = bpf_map_lookup_elem(&xctl_rxe_devices, &index);
	if (known)
		return known;
	bpf_map_update_elem(&xctl_rxe_devices, &index, &fresh, BPF_NOEXIST);
	known = bpf_map_lookup_elem(&xctl_rxe_devices, &index);
	if (!known)
		xctl_count_loss(XCTL_LOST_TABLE_FULL);
	return known;
}

/* Whether one more of the device's retries is to be accounted for; if so it is. */
static __always_inline bool claim_retry(struct rxe_qp *qp)
{
	struct ib_device *device = BPF_CORE_READ(qp, ibqp.device);
	__u64 counter = device_retries(device), told;
	struct xctl_rxe_device *d;

	/* Of a queue pair that is older than the agent: what is marked is most likely one that has just begun. */
	d = account_of(device, counter ? counter - 1 : 0);
	if (!d)
		return true;
	d->counter = counter;
	for (int i = 0; i < 4; i++) {
		told = d->told;
		if (counter <= d->first + told)
			return false;
		if (__sync_val_compare_and_swap(&d->told, told, told + 1) == told)
			return true;
	}
	/* Others took theirs at the same moment: the next look finds it. */
	return false;
}

static __always_inline int look_at(struct rxe_qp *qp)
{
	if (!BPF_CORE_READ(qp, comp.started_retry))
		return 0;
	if (claim_retry(qp))
		note_retry(qp, 1, 0);
	return 0;
}

/* Sequence numbers have 24 bits. */
static __always_inline bool is_on_its_way(struct rxe_qp *qp)
{
	return (__s32)((BPF_CORE_READ(qp, req.psn) - BPF_CORE_READ(qp, comp.psn)) << 8) > 0;
}

static __always_inline int timer_fired(struct rxe_qp *qp)
{
	__u64 key = (__u64)qp;
	struct retries *r;

	look_at(qp);
	if (!is_on_its_way(qp))
		return 0;
	if (!BPF_CORE_READ(qp, comp.started_retry))
		note_retry(qp, 0, 0);
	r = bpf_map_lookup_elem(&xctl_rxe_retries, &key);
	if (r)
		__sync_lock_test_and_set(&r->late, 1);
	return 0;
}

/* Before a queue pair can retry anything: what the device has counted so far is not of those that are made from now on. */
static __always_inline void account_begins(struct ib_qp *qp)
{
	struct ib_device *device = BPF_CORE_READ(qp, device);

	if (BPF_CORE_READ(device, ops.driver_id) == RDMA_DRIVER_RXE)
		account_of(device, device_retries(device));
}

/* ---- a pass over those in trouble ---------------------------------------------- */

/* All that was in flight when it last began again has been answered. */
static __always_inline bool answered(struct rxe_qp *qp, const struct retries *r)
{
	return BPF_CORE_READ(qp, comp.psn) != r->psn && !BPF_CORE_READ(qp, comp.started_retry) &&
	       !BPF_CORE_READ(qp, req.wait_for_rnr_timer);
}

/* What its completer has begun since it was looked at last. */
static __always_inline void claim_last(struct rxe_qp *qp, struct retries *r)
{
	if (!BPF_CORE_READ(qp, comp.started_retry) || !claim_retry(qp))
		return;
	__sync_fetch_and_add(&r->total, 1);
	__sync_fetch_and_add(&r->retries, 1);
	__sync_fetch_and_add(&r->timeouts, __sync_lock_test_and_set(&r->late, 0));
}

static long visit_retries(struct bpf_map *map, const __u64 *key, struct retries *r, void *unused)
{
	struct rxe_qp *qp = (void *)*key;
	bool over;

	/* Freed, and its end was not seen. */
	if (BPF_CORE_READ(qp, ibqp.qp_num) != r->qpn)
		return 0;
	claim_last(qp, r);
	over = r->since_ns && answered(qp, r);
	if (over)
		r->since_ns = 0;
	if (over || r->retries || r->rnr)
		tell_retries(qp, r, bpf_ktime_get_boot_ns());
	return 0;
}

/* It is gone: what was not told of is told now. */
static __always_inline void retries_end(struct rxe_qp *qp)
{
	__u64 key = (__u64)qp;
	struct retries *r = bpf_map_lookup_elem(&xctl_rxe_retries, &key);

	if (!r)
		return;
	if (r->qpn == BPF_CORE_READ(qp, ibqp.qp_num)) {
		claim_last(qp, r);
		if (r->retries || r->rnr)
			tell_retries(qp, r, bpf_ktime_get_boot_ns());
	}
	bpf_map_delete_elem(&xctl_rxe_retries, &key);
}

#endif
