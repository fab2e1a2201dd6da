// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Probe `gpu-trace`: NCCL's communicators and threads that wait for a GPU, by uprobes on libnccl and libcuda. Off
 * unless asked for. Nothing here attaches itself: src/probes/gpu-trace.ts attaches each program to the function of
 * that name in each file that the processes of a job have mapped.
 *
 * Init calls, splits, finalize, destroy and abort are told one by one: they are rare. Where a program asks NCCL
 * which rank it is, the answer goes into the table of communicators. Of a collective only a counter
 * and the time of the last enqueue are kept, read out once a second: NCCL's functions return when the work is
 * enqueued, so that how long they take says nothing of how long anybody waits. The wait is in the call that
 * synchronises with the GPU, which spins on a CPU: its entry leaves a mark with the thread, its return takes it away.
 *
 * Minimum kernel: 5.8 (ring buffer), with uprobes. Cost: see docs/gpu-trace.md; a trap of some 1-2 us a call, the
 * programs are the least of it.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include "xctl_events.h"
#include "lib/ring.bpf.h"
#include "lib/task.bpf.h"

#define E2BIG 7

#include "gpu_trace/abi.bpf.h"
#include "gpu_trace/comms.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, XCTL_GPU_CLASS_MAX);
	__type(key, __u32);
	__type(value, __u64);
} xctl_gpu_calls SEC(".maps");

/* Whoever dies in the call leaves its mark: user space looks after those. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, struct xctl_gpu_wait);
} xctl_gpu_waits SEC(".maps");

static __always_inline void count_call(__u32 class)
{
	__u64 *calls = bpf_map_lookup_elem(&xctl_gpu_calls, &class);

	if (calls)
		*calls += 1;
}

/* ---- communicators ------------------------------------------------------ */

/* ncclCommInitRank(ncclComm_t *, int nranks, ncclUniqueId, int rank); Config adds one argument behind. */
static __always_inline int init_rank(struct pt_regs *ctx, __u32 call)
{
	struct init_call init = {};

	count_call(XCTL_GPU_COMM);
	init.out = PT_REGS_PARM1(ctx);
	init.nranks = (int)PT_REGS_PARM2(ctx);
	init.rank = XCTL_RANK(ctx);
	init.id = hash_unique_id(XCTL_UNIQUE_ID(ctx));
	init.call = call;
	init_entered(&init);
	return 0;
}

SEC("uprobe")
int nccl_init_rank(struct pt_regs *ctx)
{
	return init_rank(ctx, XCTL_CALL_INIT_RANK);
}

SEC("uprobe")
int nccl_init_rank_config(struct pt_regs *ctx)
{
	return init_rank(ctx, XCTL_CALL_INIT_RANK_CONFIG);
}

/* ncclCommInitRankScalable(ncclComm_t *, int nranks, int rank, int nId, ncclUniqueId *, ncclConfig_t *) */
SEC("uprobe")
int nccl_init_rank_scalable(struct pt_regs *ctx)
{
	struct init_call init = {};

	count_call(XCTL_GPU_COMM);
	init.out = PT_REGS_PARM1(ctx);
	init.nranks = (int)PT_REGS_PARM2(ctx);
	init.rank = (int)PT_REGS_PARM3(ctx);
	init.id = hash_unique_id((void *)PT_REGS_PARM5(ctx));
	init.call = XCTL_CALL_INIT_RANK_SCALABLE;
	init_entered(&init);
	return 0;
}

/*
 * ncclCommSplit(ncclComm_t, int color, int key, ncclComm_t *new, ncclConfig_t *). Which rank of how many it gives
 * depends on what all others say (src/probes/gpu-trace-splits.ts); that those who name the same color in the same
 * split belong together does not.
 */
SEC("uprobe")
int nccl_split(struct pt_regs *ctx)
{
	struct xctl_nccl_count *parent;
	struct xctl_nccl_key key = {};
	struct init_call init = {};
	__u32 color = PT_REGS_PARM2(ctx);

	count_call(XCTL_GPU_COMM);
	key_of(&key, PT_REGS_PARM1(ctx));
	parent = bpf_map_lookup_elem(&xctl_nccl_counts, &key);
	init.split.parent = key.comm;
	if (parent) {
		if (parent->source != source_of(ctx))
			return 0;
		if (parent->splits != XCTL_SPLITS_UNKNOWN)
			__sync_fetch_and_add(&parent->splits, 1);
		if (parent->id && parent->splits != XCTL_SPLITS_UNKNOWN) {
			init.id = id_of(mix(mix(parent->id ^ color) + parent->splits));
			init.split.parent_id = parent->id;
			init.split.parent_rank = parent->rank;
			init.split.parent_nranks = parent->nranks;
			init.split.color = color;
			init.split.key = (__s32)PT_REGS_PARM3(ctx);
			/* Without a source, a file under two names counts its splits twice, in some ranks and not in others. */
			if (parent->source)
				init.split.ordinal = parent->splits;
		}
	}
	init.out = PT_REGS_PARM4(ctx);
	init.rank = NCCL_UNKNOWN;
	init.nranks = NCCL_UNKNOWN;
	init.call = XCTL_CALL_SPLIT;
	init_entered(&init);
	return 0;
}

/*
 * ncclCommShrink(ncclComm_t, int *excluded, int count, ncclComm_t *new, ncclConfig_t *, int flags): those that are
 * not excluded keep their order and close up. Only they call it.
 */
SEC("uprobe")
int nccl_shrink(struct pt_regs *ctx)
{
	struct xctl_nccl_count *parent;
	struct xctl_nccl_key key = {};
	struct init_call init = {};

	count_call(XCTL_GPU_COMM);
	key_of(&key, PT_REGS_PARM1(ctx));
	parent = bpf_map_lookup_elem(&xctl_nccl_counts, &key);
	init.rank = NCCL_UNKNOWN;
	init.nranks = NCCL_UNKNOWN;
	if (parent) {
		if (parent->source != source_of(ctx))
			return 0;
		shrink_of(&init, parent, (const void *)PT_REGS_PARM2(ctx), (__s32)PT_REGS_PARM3(ctx));
		__sync_fetch_and_add(&parent->shrinks, 1);
	}
	init.out = PT_REGS_PARM4(ctx);
	init.call = XCTL_CALL_SHRINK;
	init_entered(&init);
	return 0;
}

/* At the return of each of the above: only now is there a communicator. */
SEC("uretprobe")
int nccl_init_return(struct pt_regs *ctx)
{
	__u32 tid = bpf_get_current_pid_tgid();
	struct init_call init, *mark = bpf_map_lookup_elem(&xctl_init_calls, &tid);
	__s32 result = (__s32)PT_REGS_RC(ctx);
	__u64 comm = 0;

	if (!mark)
		return 0;
	init = *mark;
	bpf_map_delete_elem(&xctl_init_calls, &tid);
	if (init.call == XCTL_CALL_INIT_ALL)
		return 0;
	if (result != NCCL_SUCCESS && result != NCCL_IN_PROGRESS) {
		if (init.call == XCTL_CALL_SPLIT)
			splits_unknown(init.split.parent);
		comm_failed(&init, result);
		return 0;
	}
	if (bpf_probe_read_user(&comm, sizeof(comm), (void *)init.out))
		xctl_count_loss(XCTL_LOST_READ);
	/* Of a non-blocking init the communicator is there before it can be used, of a split it is not. */
	if (comm)
		comm_ready(ctx, comm, &init, init.rank, result);
	else
		comm_failed(&init, result);
	return 0;
}

/* ncclCommInitAll(ncclComm_t *comms, int ndev, const int *devices): all ranks in one process, and no id. */
SEC("uprobe")
int nccl_init_all(struct pt_regs *ctx)
{
	struct init_call init = {};

	count_call(XCTL_GPU_COMM);
	init.out = PT_REGS_PARM1(ctx);
	init.nranks = (int)PT_REGS_PARM2(ctx);
	init.rank = NCCL_UNKNOWN;
	init.id = id_of(mix(bpf_get_current_pid_tgid() ^ mix(bpf_ktime_get_boot_ns())));
	init.call = XCTL_CALL_INIT_ALL;
	init_entered(&init);
	return 0;
}

SEC("uretprobe")
int nccl_init_all_return(struct pt_regs *ctx)
{
	__u32 tid = bpf_get_current_pid_tgid();
	struct init_call init, *mark = bpf_map_lookup_elem(&xctl_init_calls, &tid);
	__s32 result = (__s32)PT_REGS_RC(ctx);
	__u64 comms[MAX_DEVICES] = {};
	__u32 count;

	if (!mark || mark->call != XCTL_CALL_INIT_ALL)
		return 0;
	init = *mark;
	bpf_map_delete_elem(&xctl_init_calls, &tid);
	if (result != NCCL_SUCCESS) {
		comm_failed(&init, result);
		return 0;
	}
	count = init.nranks < 0 ? 0 : init.nranks;
	if (count > MAX_DEVICES)
		count = MAX_DEVICES;
	if (bpf_probe_read_user(comms, count * sizeof(comms[0]), (void *)init.out))
		xctl_count_loss(XCTL_LOST_READ);
	for (__u32 i = 0; i < MAX_DEVICES; i++) {
		if (i >= count || !comms[i])
			break;
		comm_ready(ctx, comms[i], &init, i, result);
	}
	return 0;
}

SEC("uprobe")
int nccl_finalize(struct pt_regs *ctx)
{
	count_call(XCTL_GPU_COMM);
	comm_ends(PT_REGS_PARM1(ctx), XCTL_COMM_FINALIZED, XCTL_CALL_FINALIZE);
	return 0;
}

SEC("uprobe")
int nccl_destroy(struct pt_regs *ctx)
{
	count_call(XCTL_GPU_COMM);
	comm_ends(PT_REGS_PARM1(ctx), XCTL_COMM_DESTROYED, XCTL_CALL_DESTROY);
	return 0;
}

SEC("uprobe")
int nccl_abort(struct pt_regs *ctx)
{
	count_call(XCTL_GPU_COMM);
	comm_ends(PT_REGS_PARM1(ctx), XCTL_COMM_ABORTED, XCTL_CALL_ABORT);
	return 0;
}

/* ---- what the program itself asks ------------------------------------------ */

static __always_inline int asks(struct pt_regs *ctx, bool rank)
{
	__u32 tid = bpf_get_current_pid_tgid();
	struct ask ask = {};

	count_call(XCTL_GPU_ASK);
	ask.comm = PT_REGS_PARM1(ctx);
	ask.out = PT_REGS_PARM2(ctx);
	ask.rank = rank;
	if (bpf_map_update_elem(&xctl_asks, &tid, &ask, BPF_ANY))
		xctl_count_loss(XCTL_LOST_TABLE_FULL);
	return 0;
}

/* ncclCommUserRank(ncclComm_t, int *rank) */
SEC("uprobe")
int nccl_user_rank(struct pt_regs *ctx)
{
	return asks(ctx, true);
}

/* ncclCommCount(ncclComm_t, int *count) */
SEC("uprobe")
int nccl_count(struct pt_regs *ctx)
{
	return asks(ctx, false);
}

/* What NCCL answers is so, whoever made the communicator and whenever. */
SEC("uretprobe")
int nccl_ask_return(struct pt_regs *ctx)
{
	__u32 tid = bpf_get_current_pid_tgid();
	struct ask ask, *mark = bpf_map_lookup_elem(&xctl_asks, &tid);
	__s32 result = (__s32)PT_REGS_RC(ctx);

	if (!mark)
		return 0;
	ask = *mark;
	bpf_map_delete_elem(&xctl_asks, &tid);
	if (result == NCCL_SUCCESS)
		answered(ctx, &ask);
	return 0;
}

/* ---- what is enqueued ----------------------------------------------------- */

/* ncclAllReduce, ncclReduceScatter, ncclBroadcast: the communicator is the sixth argument. */
SEC("uprobe")
int nccl_collective_arg6(struct pt_regs *ctx)
{
	count_call(XCTL_GPU_ENQUEUE);
	enqueued(ctx, XCTL_ARG6(ctx), false);
	return 0;
}

/* ncclAllGather: the fifth. */
SEC("uprobe")
int nccl_collective_arg5(struct pt_regs *ctx)
{
	count_call(XCTL_GPU_ENQUEUE);
	enqueued(ctx, PT_REGS_PARM5(ctx), false);
	return 0;
}

/* ncclReduce: the seventh. */
SEC("uprobe")
int nccl_collective_arg7(struct pt_regs *ctx)
{
	count_call(XCTL_GPU_ENQUEUE);
	enqueued(ctx, XCTL_ARG7(ctx), false);
	return 0;
}

/* ncclSend, ncclRecv: not every rank does as many of them. */
SEC("uprobe")
int nccl_p2p_arg5(struct pt_regs *ctx)
{
	count_call(XCTL_GPU_ENQUEUE);
	enqueued(ctx, PT_REGS_PARM5(ctx), true);
	return 0;
}

/* ---- waits for the GPU ----------------------------------------------------- */

static __always_inline int sync_entered(__u32 call)
{
	__u64 id = bpf_get_current_pid_tgid();
	struct xctl_gpu_wait wait = {};
	__u32 tid = id;

	count_call(XCTL_GPU_SYNC);
	wait.start_ns = xctl_start_ns(current_task());
	wait.since_ns = bpf_ktime_get_boot_ns();
	wait.pid = id >> 32;
	wait.call = call;
	if (bpf_map_update_elem(&xctl_gpu_waits, &tid, &wait, BPF_ANY))
		xctl_count_loss(XCTL_LOST_TABLE_FULL);
	return 0;
}

SEC("uprobe")
int cuda_stream_sync(struct pt_regs *ctx)
{
	return sync_entered(XCTL_CALL_STREAM_SYNC);
}

SEC("uprobe")
int cuda_event_sync(struct pt_regs *ctx)
{
	return sync_entered(XCTL_CALL_EVENT_SYNC);
}

SEC("uprobe")
int cuda_ctx_sync(struct pt_regs *ctx)
{
	return sync_entered(XCTL_CALL_CTX_SYNC);
}

SEC("uretprobe")
int cuda_sync_return(struct pt_regs *ctx)
{
	__u32 tid = bpf_get_current_pid_tgid();

	bpf_map_delete_elem(&xctl_gpu_waits, &tid);
	return 0;
}
