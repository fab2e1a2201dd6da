/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The requests that a disk has now, oldest first found by looking at its tags: nothing is kept when a
 * request starts, and a disk that was stuck before the agent came is no different from any other.
 *
 * The disk is named by a descriptor: user space opens a file in /sys/block/NAME, whose directory in
 * sysfs *is* the kernel's disk. No table of queues has to be filled or can be stale.
 *
 * A tag that is taken names a request; with an elevator these are the elevator's own tags, which a
 * request holds from its making to its end, so requests that were not dispatched yet count as well.
 * A free or cached request has no bio. Nothing is locked: what does not fit together is left out.
 *
 * Minimum kernel 5.17 (bpf_loop). Cost, in the agent's own context and only for a disk that has
 * something in flight: 0.1 us a word of 64 tags, 0.5 us a request, 2 us for each of those told of.
 */
#ifndef XCTL_BLOCK_INFLIGHT_BPF_H
#define XCTL_BLOCK_INFLIGHT_BPF_H

#include "request.bpf.h"

/* Oldest requests told of. */
#define XCTL_OLDEST 16
/* Hardware queues of a disk that are looked at, and words of tags in each (64 tags at most in one). */
#define XCTL_HW_QUEUES 1024
#define XCTL_TAG_WORDS 1024

#define SYSFS_MAGIC 0x62656572
#define MQ_COMPLETE 2

/* 5.18 replaced the array by an xarray (4e5cc99e1e48). */
struct request_queue___array {
	struct blk_mq_hw_ctx **queue_hw_ctx;
} __attribute__((preserve_access_index));

struct found {
	__u64 rq;
	__u64 start_ns;
};

/* In a map: too large for the stack, and what lies there does not multiply the verifier's states. */
struct walk {
	struct request_queue *q;
	struct blk_mq_tags *tags; /* of the hardware queue that is looked at */
	unsigned long bits; /* taken, of the word that is looked at */
	__u64 now_ns;
	__u64 oldest_ns;
	__u64 youngest_ns; /* of those kept */
	__u32 youngest;
	__u32 first; /* tag of the word's first bit */
	__u32 dev;
	__u32 in_flight;
	__u32 depth;
	__u32 kept;
	__u32 told;
	struct found oldest[XCTL_OLDEST];
	struct xctl_block_rq rq;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct walk);
} xctl_block_walk SEC(".maps");

struct walk_ctx {
	struct walk *w;
	struct seq_file *seq;
};

/* The disk whose directory in sysfs holds the open file. */
static __always_inline struct gendisk *xctl_disk_of_fd(struct task_struct *task, __s32 fd)
{
	struct file **fds = BPF_CORE_READ(task, files, fdt, fd), *file = NULL;
	struct block_device *bdev;
	struct kernfs_node *kn;
	struct device *dev;
	struct inode *inode;

	if (fd < 0 || (__u32)fd >= BPF_CORE_READ(task, files, fdt, max_fds))
		return NULL;
	bpf_probe_read_kernel(&file, sizeof(file), fds + fd);
	inode = BPF_CORE_READ(file, f_inode);
	if (BPF_CORE_READ(inode, i_sb, s_magic) != SYSFS_MAGIC)
		return NULL;
	kn = xctl_kn_parent(BPF_CORE_READ(inode, i_private));
	dev = container_of((struct kobject *)BPF_CORE_READ(kn, priv), struct device, kobj);
	bdev = (void *)dev - bpf_core_field_offset(struct block_device, bd_device);
	if (BPF_CORE_READ(dev, devt) != BPF_CORE_READ(bdev, bd_dev))
		return NULL;
	return BPF_CORE_READ(bdev, bd_disk);
}

/* xarrays of up to 64 entries have one level, of up to 4096 two. */
static __always_inline void *xctl_xa_load(void *entry, __u32 index)
{
	struct xa_node *node;
	__u8 shift;

	for (int level = 0; level < 2; level++) {
		if (((__u64)entry & 3) != 2)
			break;
		node = entry - 2;
		shift = BPF_CORE_READ(node, shift);
		bpf_probe_read_kernel(&entry, sizeof(entry), &node->slots[(index >> (shift & 31)) & 63]);
		if (!shift)
			return entry;
	}
	return index ? NULL : entry;
}

static __always_inline struct blk_mq_hw_ctx *xctl_hw_queue(struct request_queue *q, __u32 index)
{
	struct request_queue___array *old = (void *)q;
	struct blk_mq_hw_ctx *hctx = NULL;

	if (bpf_core_field_exists(old->queue_hw_ctx)) {
		bpf_probe_read_kernel(&hctx, sizeof(hctx), BPF_CORE_READ(old, queue_hw_ctx) + index);
		return hctx;
	}
	return xctl_xa_load(BPF_CORE_READ(q, hctx_table.xa_head), index);
}

static long find_youngest(__u32 index, struct walk_ctx *ctx)
{
	struct walk *w = ctx->w;

	if (index >= XCTL_OLDEST)
		return 1;
	if (w->oldest[index].start_ns > w->youngest_ns) {
		w->youngest_ns = w->oldest[index].start_ns;
		w->youngest = index;
	}
	return 0;
}

/* Keeps the request if it is one of the oldest so far. */
static __always_inline void keep_oldest(struct walk_ctx *ctx, __u64 rq, __u64 start_ns)
{
	struct walk *w = ctx->w;
	__u32 at = w->kept;

	if (at < XCTL_OLDEST) {
		w->kept = at + 1;
	} else {
		if (!w->youngest_ns)
			bpf_loop(XCTL_OLDEST, find_youngest, ctx, 0);
		if (start_ns >= w->youngest_ns)
			return;
		at = w->youngest;
		w->youngest_ns = 0;
	}
	if (at >= XCTL_OLDEST)
		return;
	w->oldest[at].rq = rq;
	w->oldest[at].start_ns = start_ns;
}

static long each_tag(__u32 bit, struct walk_ctx *ctx)
{
	struct walk *w = ctx->w;
	struct blk_mq_tags *tags = w->tags;
	struct request_queue *q = w->q;
	struct request *rq = NULL;
	__u64 start_ns;

	if (!(w->bits >> (bit & 63) & 1))
		return 0;
	if (w->first + bit >= BPF_CORE_READ(tags, nr_tags))
		return 1;
	bpf_probe_read_kernel(&rq, sizeof(rq), BPF_CORE_READ(tags, static_rqs) + w->first + bit);
	if (!rq || BPF_CORE_READ(rq, q) != q || !BPF_CORE_READ(rq, bio))
		return 0;
	start_ns = BPF_CORE_READ(rq, start_time_ns);
	if (!start_ns || BPF_CORE_READ(rq, state) == MQ_COMPLETE)
		return 0;
	w->in_flight++;
	keep_oldest(ctx, (__u64)rq, start_ns);
	return 0;
}

static long each_word(__u32 index, struct walk_ctx *ctx)
{
	struct walk *w = ctx->w;
	struct blk_mq_tags *tags = w->tags;
	struct sbitmap_word *word;

	if (index >= BPF_CORE_READ(tags, bitmap_tags.sb.map_nr))
		return 1;
	word = (void *)BPF_CORE_READ(tags, bitmap_tags.sb.map) + index * bpf_core_type_size(struct sbitmap_word);
	/* Freed tags are marked, and taken back many at a time. */
	w->bits = BPF_CORE_READ(word, word) & ~BPF_CORE_READ(word, cleared);
	if (!w->bits)
		return 0;
	w->first = BPF_CORE_READ(tags, nr_reserved_tags) + (index << (BPF_CORE_READ(tags, bitmap_tags.sb.shift) & 31));
	bpf_loop(64, each_tag, ctx, 0);
	return 0;
}

static long each_hw_queue(__u32 index, struct walk_ctx *ctx)
{
	struct walk *w = ctx->w;
	struct request_queue *q = w->q;
	struct blk_mq_hw_ctx *hctx;
	struct blk_mq_tags *tags;

	if (index >= BPF_CORE_READ(q, nr_hw_queues))
		return 1;
	hctx = xctl_hw_queue(q, index);
	tags = BPF_CORE_READ(hctx, sched_tags);
	if (!tags)
		tags = BPF_CORE_READ(hctx, tags);
	/* Hardware queues may share one set of tags. */
	if (!tags || tags == w->tags)
		return 0;
	w->tags = tags;
	w->depth += BPF_CORE_READ(tags, nr_tags) - BPF_CORE_READ(tags, nr_reserved_tags);
	bpf_loop(XCTL_TAG_WORDS, each_word, ctx, 0);
	return 0;
}

static long each_oldest(__u32 index, struct walk_ctx *ctx)
{
	struct walk *w = ctx->w;
	struct xctl_block_rq *e = &w->rq;
	struct request *rq;

	if (index >= w->kept || index >= XCTL_OLDEST)
		return 1;
	rq = (void *)w->oldest[index].rq;
	__builtin_memset(e, 0, sizeof(*e));
	xctl_fill_hdr(&e->hdr, XCTL_BLOCK_INFLIGHT, sizeof(*e));
	xctl_fill_rq(e, rq, w->dev, w->now_ns);
	/* Completed, or in use for another, since. */
	if (BPF_CORE_READ(rq, start_time_ns) != w->oldest[index].start_ns || !BPF_CORE_READ(rq, bio))
		return 0;
	if (e->age_ns > w->oldest_ns)
		w->oldest_ns = e->age_ns;
	bpf_seq_write(ctx->seq, e, sizeof(*e));
	w->told++;
	return 0;
}

static __always_inline void xctl_look_at(struct gendisk *disk, struct seq_file *seq)
{
	struct request_queue *q = BPF_CORE_READ(disk, queue);
	struct xctl_block_queue e = {};
	struct walk_ctx ctx = {};
	struct walk *w;
	__u32 zero = 0;

	w = bpf_map_lookup_elem(&xctl_block_walk, &zero);
	/* Devices of bios (dm, md, brd) have a queue without tags. */
	if (!w || !q || !BPF_CORE_READ(q, tag_set))
		return;
	__builtin_memset(w, 0, offsetof(struct walk, oldest));
	w->q = q;
	w->dev = BPF_CORE_READ(disk, major) << 20 | BPF_CORE_READ(disk, first_minor);
	ctx.w = w;
	ctx.seq = seq;
	bpf_loop(XCTL_HW_QUEUES, each_hw_queue, &ctx, 0);
	w->now_ns = bpf_ktime_get_ns();
	bpf_loop(XCTL_OLDEST, each_oldest, &ctx, 0);
	xctl_fill_hdr(&e.hdr, XCTL_BLOCK_QUEUE, sizeof(e));
	e.oldest_ns = w->oldest_ns;
	e.dev = w->dev;
	e.in_flight = w->in_flight;
	e.depth = w->depth;
	e.told = w->told;
	bpf_seq_write(seq, &e, sizeof(e));
}

#endif
