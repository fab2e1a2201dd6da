// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Block devices: what requests take (a histogram for each disk), which are slow or fail and who asked
 * for them, and which a disk has now.
 *
 *   submit    a bio gets its request: who asked is noted (submitter.bpf.h)
 *   complete  a request ends: one count in the disk's histogram; slow and failed ones become records
 *   inflight  a pass over one disk's tags, when user space asks for it (inflight.bpf.h)
 *
 * Device mapper, md and other devices of bios make no requests: they are seen by those underneath.
 *
 * Minimum kernel: submit and complete 5.8; inflight 5.17 (bpf_loop).
 * Cost, measured on 6.18 with 4k random reads: submit 21 ns and complete 13 ns a request more than
 * programs that do nothing in their places; nothing is inserted or deleted for a request, and the clock is
 * read once a tick. They stay attached: to attach only now and then patches the kernel's text, which
 * interrupts every CPU, and the first failure, often the only one, would be nobody's.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include "xctl_events.h"
#include "lib/ring.bpf.h"
#include "block/latency.bpf.h"
#include "block/told.bpf.h"
#include "block/request.bpf.h"
#include "block/inflight.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define SLOW_NS 500000000ULL
/* Below this nothing is slow, whatever was asked for: spares fast requests a look at the setting. */
#define SLOW_MIN_NS 20000000ULL

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct xctl_block_config);
} xctl_block_config SEC(".maps");

/* ---- submit ------------------------------------------------------------- */

/* Typed pointers are read directly: a probe read costs more than all else here. */
SEC("tp_btf/block_getrq")
int BPF_PROG(submit__tp_btf, struct bio *bio)
{
	struct task_struct *task = bpf_get_current_task_btf(), *leader;
	struct note note = {};

	note.sector = bio->bi_iter.bi_sector;
	note.jiffies = bpf_jiffies64();
	if (!(task->flags & XCTL_PF_KTHREAD)) {
		leader = task->group_leader;
		note.pid = task->tgid;
		note.start_ns = leader->start_boottime;
		note.comm[0] = *(__u64 *)&leader->comm[0];
		note.comm[1] = *(__u64 *)&leader->comm[8];
	}
	note_write(&note, bio);
	return 0;
}

/* Without typed arguments, and where they are (q, bio, rw): before 5.11 (e8a676d61c07). */
struct trace_event_raw_block_get_rq {
	int unused;
};

SEC("raw_tp/block_getrq")
int submit__raw_tp(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct note note = {};
	struct bio *bio;

	/* The barriers keep the two loads apart: a context is read at constant offsets only. */
	if (bpf_core_type_exists(struct trace_event_raw_block_get_rq)) {
		bio = (void *)ctx->args[1];
		asm volatile("" : "+r"(bio));
	} else {
		bio = (void *)ctx->args[0];
		asm volatile("" : "+r"(bio));
	}
	note.sector = BPF_CORE_READ(bio, bi_iter.bi_sector);
	note.jiffies = bpf_jiffies64();
	if (!xctl_is_kthread(task)) {
		note.pid = BPF_CORE_READ(task, tgid);
		note.start_ns = xctl_start_ns(task);
		BPF_CORE_READ_INTO(&note.comm, task, group_leader, comm);
	}
	note_write(&note, bio);
	return 0;
}

/* ---- complete ----------------------------------------------------------- */

#define STS_NOTSUPP 1
#define STS_AGAIN 12

/*
 * 5.16 gives a blk_status_t (8a7d267b4a2c), before it an errno below zero; the few that matter map back.
 * 0 also where nothing has failed: the caller goes another way (an operation that the device does not have)
 * or asks again (nowait).
 */
static __always_inline __u32 to_status(__s32 error)
{
	if (error >= 0)
		return error == STS_NOTSUPP || error == STS_AGAIN ? 0 : error;
	switch (-error) {
	case 95: /* EOPNOTSUPP */
	case 11: /* EAGAIN */
		return 0;
	case 110: /* ETIMEDOUT */
		return 2;
	case 28: /* ENOSPC */
		return 3;
	case 67: /* ENOLINK */
		return 4;
	case 121: /* EREMOTEIO */
		return 5;
	case 52: /* EBADE */
		return 6;
	case 61: /* ENODATA */
		return 7;
	case 84: /* EILSEQ */
		return 8;
	case 12: /* ENOMEM */
		return 9;
	}
	return 10; /* EIO */
}

static __always_inline void tell(struct request *rq, __u32 dev, __u32 status, __u32 bytes, __u64 now_ns)
{
	__u16 kind = status ? XCTL_BLOCK_ERROR : XCTL_BLOCK_SLOW;
	struct xctl_block_rq *e;
	__u32 suppressed = 0;

	if (!xctl_may_tell(dev, kind, now_ns, &suppressed))
		return;
	/* One that fails is not told of again; a slow one shows in the histogram as well. */
	e = status ? xctl_reserve(&xctl_critical, struct xctl_block_rq, XCTL_BLOCK_ERROR) :
		     xctl_reserve(&xctl_events, struct xctl_block_rq, XCTL_BLOCK_SLOW);
	if (!e)
		return;
	xctl_fill_rq(e, rq, dev, now_ns);
	e->bytes = bytes;
	e->status = status;
	e->suppressed = suppressed;
	xctl_submit(e);
}

static __always_inline __u64 slow_ns(void)
{
	__u32 zero = 0;
	struct xctl_block_config *config = bpf_map_lookup_elem(&xctl_block_config, &zero);

	return config && config->slow_ns ? config->slow_ns : SLOW_NS;
}

/* What of a request decides whether it is told of; read in the way that the rung allows. */
struct ended {
	__u64 start_ns;
	__u32 part; /* partition or disk, as dev; 0 where the kernel counts none */
	__u32 cmd_flags;
	__u32 status;
	__u32 bytes;
	__u32 weight;
};

static __always_inline __u32 dev_of_disk(struct request *rq)
{
	struct request___disk *old = (void *)rq;
	struct gendisk *disk;

	disk = bpf_core_field_exists(old->rq_disk) ? BPF_CORE_READ(old, rq_disk) : BPF_CORE_READ(rq, q, disk);
	return disk ? BPF_CORE_READ(disk, major) << 20 | BPF_CORE_READ(disk, first_minor) : 0;
}

/*
 * The exact clock costs as much as all else here, so it is read for the first request that ends in a
 * tick, which is a coarse clock for the others: late by a tick (10 ms at most). What is fast by that one
 * is counted once in XCTL_FAST_WEIGHT times, by that weight, chosen by the nanoseconds of its start,
 * which nobody controls; all that may be slow is timed exactly and counted by itself.
 */
#define FAST_NS 10000000LL

/* Two variables: of a struct the compiler makes two with names that BTF refuses. */
static volatile __u64 tick_jiffies;
static volatile __u64 tick_ns;

static __always_inline __u64 coarse_ns(void)
{
	__u64 jiffies = bpf_jiffies64();

	if (tick_jiffies != jiffies) {
		tick_ns = bpf_ktime_get_ns();
		tick_jiffies = jiffies;
	}
	return tick_ns;
}

/* 0: left out. */
static __always_inline __u32 weight_of(__u64 start_ns)
{
	if ((__s64)(coarse_ns() - start_ns) >= FAST_NS)
		return 1;
	return (start_ns ^ (start_ns >> 4) ^ (start_ns >> 11)) & (XCTL_FAST_WEIGHT - 1) ? 0 : XCTL_FAST_WEIGHT;
}

static __always_inline int on_complete(struct request *rq, const struct ended *c)
{
	__u32 op = c->cmd_flags & REQ_OP_MASK, dev = c->part, slot;
	struct xctl_block_latency *latency;
	__u64 now_ns, took_ns;

	/* Commands that a driver or a tool sends as they are (identify, mode sense): a refusal is an answer. */
	if (op >= REQ_OP_PASSTHROUGH)
		return 0;
	/* Not stamped where /sys/block/NAME/queue/iostats is 0. */
	if (!c->start_ns && !c->status)
		return 0;
	now_ns = bpf_ktime_get_ns();
	took_ns = c->start_ns && now_ns > c->start_ns ? now_ns - c->start_ns : 0;
	if (op < XCTL_LATENCY_OPS && c->start_ns) {
		if (!dev)
			dev = dev_of_disk(rq);
		latency = dev ? xctl_latency_of(dev) : NULL;
		slot = op * XCTL_LATENCY_SLOTS + xctl_latency_slot(took_ns);
		if (latency && slot < XCTL_LATENCY_OPS * XCTL_LATENCY_SLOTS)
			latency->counts[slot] += c->weight;
	}
	if (!c->status && (took_ns < SLOW_MIN_NS || took_ns < slow_ns()))
		return 0;
	/* Commands of a host adapter (scan, identify) have no disk. */
	dev = dev_of_disk(rq);
	if (dev)
		tell(rq, dev, c->status, c->bytes, now_ns);
	return 0;
}

/* request.part was one of these before 5.11 (0d02129e76ed): then the disk has to do. */
struct hd_struct {
	int unused;
};

static __always_inline bool part_is_bdev(void)
{
	return !bpf_core_type_exists(struct hd_struct);
}

SEC("tp_btf/block_rq_complete")
int BPF_PROG(complete__tp_btf, struct request *rq, int error, unsigned int bytes)
{
	struct ended c = {};

	c.start_ns = rq->start_time_ns;
	c.weight = weight_of(c.start_ns);
	/* Left out, or a part of it: the request goes on. */
	if (!error && (!c.weight || bytes < rq->__data_len))
		return 0;
	c.status = to_status(error);
	c.bytes = bytes;
	c.cmd_flags = rq->cmd_flags;
	if (part_is_bdev() && rq->part)
		c.part = rq->part->bd_dev;
	return on_complete(rq, &c);
}

SEC("raw_tp/block_rq_complete")
int complete__raw_tp(struct bpf_raw_tracepoint_args *ctx)
{
	struct request *rq = (void *)ctx->args[0];
	struct ended c = { .status = to_status(ctx->args[1]), .bytes = ctx->args[2] };

	c.start_ns = BPF_CORE_READ(rq, start_time_ns);
	c.weight = weight_of(c.start_ns);
	if (!c.status && (!c.weight || c.bytes < BPF_CORE_READ(rq, __data_len)))
		return 0;
	c.cmd_flags = BPF_CORE_READ(rq, cmd_flags);
	if (part_is_bdev())
		c.part = BPF_CORE_READ(rq, part, bd_dev);
	return on_complete(rq, &c);
}

/* ---- in flight ----------------------------------------------------------- */

/* Acts once a pass, for the task that reads it; the walk over tasks is only what carries it. */
SEC("iter/task")
int inflight__iter(struct bpf_iter__task *ctx)
{
	struct task_struct *reader = (void *)bpf_get_current_task();
	struct xctl_block_config *config;
	struct gendisk *disk;
	__u32 zero = 0;

	if (!ctx->task || ctx->meta->seq_num)
		return 0;
	config = bpf_map_lookup_elem(&xctl_block_config, &zero);
	if (!config)
		return 0;
	disk = xctl_disk_of_fd(reader, config->fd);
	if (disk)
		xctl_look_at(disk, ctx->meta->seq);
	return 0;
}
