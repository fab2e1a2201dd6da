// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Probe `rdma-trace`: what processes post to their queue pairs, by a uprobe on `post_send` of the provider libraries
 * (libmlx5, librxe, …). Off unless asked for: on hardware a post never enters the kernel, and a uprobe on it is a trap
 * in the workload's own path. Nothing here attaches itself: src/probes/rdma-trace.ts attaches `verbs_post` to the
 * function in each file that processes have mapped.
 *
 * Posts are counted and their sizes added up, in a table by (pid, start, address of the queue pair) that is read once a
 * second. All offsets are of the public ABI of libibverbs (infiniband/verbs.h), the same on all 64-bit machines.
 *
 * `verbs__iter` walks open files for those of RDMA devices: who has one, where its queue pairs lie in the process, and,
 * with rxe, how many work requests are in the send queue. It runs in the agent's own context, when it looks.
 *
 * Minimum kernel: 5.8 with uprobes (5.15 for cookies); the iterator 5.17 (bpf_loop) and the BTF of modules. Cost: a trap
 * of some 1-2 us a post, see bench/rdma-trace.ts; the iterator 0.3 us a descriptor and 0.5 us an object of a device.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include "xctl_events.h"
#include "lib/ring.bpf.h"
#include "lib/task.bpf.h"
#include "rdma_trace/qps.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define S_IFMT 0170000
#define S_IFCHR 0020000

/* struct ibv_qp, struct ibv_context, struct ibv_device */
#define QP_CONTEXT 0
#define QP_NUM 52
#define CONTEXT_DEVICE 0
#define DEVICE_NAME 24

/* Of one call: longer lists are cut, and that is counted. */
#define MAX_WRS 16
#define MAX_SGES 4

struct send_wr {
	__u64 wr_id;
	__u64 next;
	__u64 sg_list;
	__s32 num_sge;
	__u32 opcode;
};

struct sge {
	__u64 addr;
	__u32 length;
	__u32 lkey;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, XCTL_VERBS_CLASS_MAX);
	__type(key, __u32);
	__type(value, __u64);
} xctl_verbs_calls SEC(".maps");

/* Numbers of the devices' files: what is not one of them is not looked at. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, __u32);
	__type(value, __u32);
} xctl_verbs_devs SEC(".maps");

/*
 * Which attachment runs. Two mounts show one file under two names, and both may be attached: only the one that
 * was there first may count. Before 5.15 there is no telling, and such a file counts twice.
 */
static __always_inline __u64 source_of(void *ctx)
{
	if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_get_attach_cookie))
		return bpf_get_attach_cookie(ctx);
	return 0;
}

static __always_inline bool user_u64(__u64 *value, __u64 at)
{
	if (!bpf_probe_read_user(value, sizeof(*value), (void *)at))
		return true;
	xctl_count_loss(XCTL_LOST_READ);
	return false;
}

/* What one work request moves; false when its list of pieces is longer than is looked at. */
static __always_inline bool add_bytes(const struct send_wr *wr, __u64 *bytes)
{
	struct sge list[MAX_SGES] = {};
	__u32 count = wr->num_sge < 0 ? 0 : wr->num_sge;
	bool whole = count <= MAX_SGES;

	if (!whole)
		count = MAX_SGES;
	if (count && bpf_probe_read_user(list, count * sizeof(list[0]), (void *)wr->sg_list)) {
		xctl_count_loss(XCTL_LOST_READ);
		return true;
	}
#pragma unroll
	for (int i = 0; i < MAX_SGES; i++)
		*bytes += list[i].length;
	return whole;
}

/* The first post to it that is seen. Its device is what the process says, until the iterator knows better. */
static __always_inline struct xctl_posts *fresh_posts(void *ctx, const struct xctl_posts_key *key, __u32 qpn)
{
	struct xctl_posts fresh = {};
	__u64 context = 0, device = 0;

	fresh.qpn = qpn;
	fresh.outstanding = -1;
	fresh.source = source_of(ctx);
	if (user_u64(&context, key->qp + QP_CONTEXT) && user_u64(&device, context + CONTEXT_DEVICE) &&
	    bpf_probe_read_user_str(fresh.device, sizeof(fresh.device), (void *)(device + DEVICE_NAME)) < 0)
		xctl_count_loss(XCTL_LOST_READ);
	if (bpf_map_update_elem(&xctl_posts, key, &fresh, BPF_ANY))
		xctl_count_loss(XCTL_LOST_TABLE_FULL);
	return bpf_map_lookup_elem(&xctl_posts, key);
}

/* post_send(struct ibv_qp *, struct ibv_send_wr *, struct ibv_send_wr **) */
SEC("uprobe")
int verbs_post(struct pt_regs *ctx)
{
	__u64 at = PT_REGS_PARM2(ctx), bytes = 0, posts = 0, *calls;
	struct xctl_posts_key key = {};
	__u32 class = XCTL_VERBS_POST, qpn;
	struct xctl_posts *known;
	bool whole = true;

	calls = bpf_map_lookup_elem(&xctl_verbs_calls, &class);
	if (calls)
		*calls += 1;
	key.start_ns = xctl_start_ns((struct task_struct *)bpf_get_current_task());
	key.qp = PT_REGS_PARM1(ctx);
	key.pid = bpf_get_current_pid_tgid() >> 32;
	if (bpf_probe_read_user(&qpn, sizeof(qpn), (void *)(key.qp + QP_NUM))) {
		xctl_count_loss(XCTL_LOST_READ);
		return 0;
	}
	known = bpf_map_lookup_elem(&xctl_posts, &key);
	/* Another one may lie where one was that is gone. */
	if (!known || known->qpn != qpn)
		known = fresh_posts(ctx, &key, qpn);
	if (!known || known->source != source_of(ctx))
		return 0;
	for (int i = 0; i < MAX_WRS && at; i++) {
		struct send_wr wr;

		if (bpf_probe_read_user(&wr, sizeof(wr), (void *)at)) {
			xctl_count_loss(XCTL_LOST_READ);
			break;
		}
		posts++;
		whole &= add_bytes(&wr, &bytes);
		at = wr.next;
	}
	__sync_fetch_and_add(&known->posts, posts);
	__sync_fetch_and_add(&known->bytes, bytes);
	if (at || !whole)
		__sync_fetch_and_add(&known->cut, 1);
	known->last_ns = bpf_ktime_get_boot_ns();
	return 0;
}

SEC("iter/task_file")
int verbs__iter(struct bpf_iter__task_file *ctx)
{
	struct task_struct *t = ctx->task;
	struct file *file = ctx->file;
	struct ib_uverbs_file___x *ufile;
	struct xctl_verbs_file *e;
	struct inode *inode;
	__u32 dev, zero = 0;

	if (!t || !file)
		return 0;
	inode = file->f_inode;
	if ((inode->i_mode & S_IFMT) != S_IFCHR)
		return 0;
	dev = inode->i_rdev;
	if (!bpf_map_lookup_elem(&xctl_verbs_devs, &dev) || t->pid != t->tgid)
		return 0;
	ufile = BPF_CORE_READ(file, private_data);
	e = bpf_map_lookup_elem(&xctl_verbs_scratch, &zero);
	if (!ufile || !e)
		return 0;
	__builtin_memset(e, 0, sizeof(*e));
	xctl_fill_hdr(&e->hdr, XCTL_VERBS_FILE, sizeof(*e));
	e->hdr.pid = t->tgid;
	e->start_ns = xctl_start_ns(t);
	e->fd = ctx->fd;
	walk_qps(ufile, e);
	bpf_seq_write(ctx->meta->seq, e, sizeof(*e));
	return 0;
}
