/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A request as a record. Only probe reads: it is used for few requests (slow, failed, stuck), and in
 * the pass over a queue for such as may complete while they are read.
 */
#ifndef XCTL_BLOCK_REQUEST_BPF_H
#define XCTL_BLOCK_REQUEST_BPF_H

#include "lib/cgroup.bpf.h"
#include "submitter.bpf.h"

#define REQ_OP_MASK 0xff
#define REQ_OP_PASSTHROUGH 32 /* REQ_OP_SCSI_IN until 5.16, REQ_OP_DRV_IN and what follows since */
#define REQ_META_BIT (1U << 12)

/* request.rq_disk went to request_queue.disk in 5.17 (f3fa33acca9f). */
struct request___disk {
	struct gendisk *rq_disk;
} __attribute__((preserve_access_index));

/* bio.bi_disk became bi_bdev in 5.12 (309dca309fc3). */
struct bio___bdev {
	struct block_device *bi_bdev;
} __attribute__((preserve_access_index));

static __always_inline __u16 xctl_block_op(__u32 cmd_flags)
{
	switch (cmd_flags & REQ_OP_MASK) {
	case 0:
		return XCTL_B_READ;
	case 1:
	case 7: /* zone append, before 6.0 13 */
	case 9: /* write zeroes */
	case 13:
		return XCTL_B_WRITE;
	case 2:
		return XCTL_B_FLUSH;
	case 3:
	case 5: /* secure erase */
		return XCTL_B_DISCARD;
	}
	return XCTL_B_OTHER;
}

/* The group that the request is charged to; with buffered writes that of who dirtied the pages. */
static __always_inline void fill_cgroup(struct xctl_block_rq *e, struct bio *bio)
{
	struct kernfs_node *kn;

	if (!bpf_core_field_exists(bio->bi_blkg))
		return;
	kn = BPF_CORE_READ(bio, bi_blkg, blkcg, css.cgroup, kn);
	if (!kn)
		return;
	e->cgroup_id = BPF_CORE_READ(kn, id);
	xctl_group_name(e->cgroup, kn);
}

static __always_inline void fill_submitter(struct xctl_block_rq *e, struct bio *bio)
{
	struct note note;

	if (!note_find(&note, (__u64)bio, e->sector, e->age_ns))
		return;
	if (note.pid) {
		e->hdr.pid = note.pid;
		e->start_ns = note.start_ns;
		__builtin_memcpy(e->comm, note.comm, sizeof(e->comm));
	} else if (e->op == XCTL_B_WRITE) {
		e->flags |= XCTL_BF_WRITEBACK;
	}
}

/* Fills all but hdr.ts_ns, kind, size, status and suppressed of a zeroed record. */
static __always_inline void xctl_fill_rq(struct xctl_block_rq *e, struct request *rq, __u32 dev, __u64 now_ns)
{
	__u32 cmd_flags = BPF_CORE_READ(rq, cmd_flags);
	struct bio *bio = BPF_CORE_READ(rq, bio);
	struct bio___bdev *with_bdev = (void *)bio;
	__u64 start_ns = BPF_CORE_READ(rq, start_time_ns);
	__u64 issued_ns = BPF_CORE_READ(rq, io_start_time_ns);

	e->dev = dev;
	e->sector = BPF_CORE_READ(rq, __sector);
	e->bytes = BPF_CORE_READ(rq, __data_len);
	e->op = xctl_block_op(cmd_flags);
	e->age_ns = now_ns > start_ns ? now_ns - start_ns : 0;
	/* Stamped only for those who measure it (wbt, iocost, io.latency); the field may be of an earlier use. */
	if (issued_ns >= start_ns && issued_ns < now_ns)
		e->device_ns = now_ns - issued_ns;
	if (cmd_flags & REQ_META_BIT)
		e->flags |= XCTL_BF_METADATA;
	if (!bio)
		return;
	if (bpf_core_field_exists(with_bdev->bi_bdev))
		e->part = BPF_CORE_READ(with_bdev, bi_bdev, bd_dev);
	fill_cgroup(e, bio);
	fill_submitter(e, bio);
}

#endif
