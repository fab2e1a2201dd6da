/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Calls of NCCL and CUDA. Part of xctl_events.h, whose rules hold here. */
#ifndef XCTL_EVENTS_GPU_TRACE_H
#define XCTL_EVENTS_GPU_TRACE_H

/* Functions of libnccl and libcuda that are looked at. */
enum xctl_gpu_call {
	XCTL_CALL_INIT_RANK = 1,
	XCTL_CALL_INIT_RANK_CONFIG = 2,
	XCTL_CALL_INIT_RANK_SCALABLE = 3,
	XCTL_CALL_INIT_ALL = 4,
	XCTL_CALL_SPLIT = 5,
	XCTL_CALL_FINALIZE = 6,
	XCTL_CALL_DESTROY = 7,
	XCTL_CALL_ABORT = 8,
	XCTL_CALL_SHRINK = 9,
	XCTL_CALL_STREAM_SYNC = 16,
	XCTL_CALL_EVENT_SYNC = 17,
	XCTL_CALL_CTX_SYNC = 18,
};

enum xctl_comm_state {
	XCTL_COMM_INIT = 1, /* a thread is in the call that makes it */
	XCTL_COMM_READY = 2,
	XCTL_COMM_FAILED = 3, /* that call gave no communicator */
	XCTL_COMM_FINALIZED = 4,
	XCTL_COMM_DESTROYED = 5,
	XCTL_COMM_ABORTED = 6,
};

/* What a rank said in ncclCommSplit: which rank that makes it depends on what all others of the parent said. */
struct xctl_nccl_split {
	__u64 parent; /* its address in the process */
	__u64 parent_id;
	__s32 parent_rank; /* -1 unknown */
	__s32 parent_nranks; /* -1 unknown */
	__s32 color; /* -1: of none */
	__s32 key;
	__u32 ordinal; /* which one of the parent's, from 1, the same in all ranks; 0: unknown, and so is all of this */
	__u32 pad;
};

/* XCTL_NCCL_COMM; hdr.pid is the caller. */
struct xctl_nccl_comm {
	struct xctl_hdr hdr;
	__u64 start_ns;
	__u64 comm; /* its address in the process; 0 while it is made, or when it was not */
	__u64 id; /* the same in every rank of one communicator: a hash of its ncclUniqueId; 0 unknown */
	__u64 since_ns; /* the call that made it was entered */
	__u64 collectives; /* enqueued so far */
	__u64 p2p; /* sends and receives enqueued so far */
	__s32 rank; /* -1 unknown */
	__s32 nranks; /* -1 unknown */
	__s32 result; /* ncclResult_t of the call that made it */
	__u32 tid;
	__u16 state; /* enum xctl_comm_state */
	__u16 call; /* enum xctl_gpu_call */
	__u32 pad;
	struct xctl_nccl_split split; /* of ncclCommSplit, when it has returned */
};

/* Key of the hash `xctl_nccl_counts`. */
struct xctl_nccl_key {
	__u64 start_ns;
	__u64 comm;
	__u32 pid;
	__u32 pad;
};

/* Its value. A communicator that was there before the agent has no id, rank or size. */
struct xctl_nccl_count {
	__u64 id;
	__u64 collectives;
	__u64 p2p;
	__u64 last_ns; /* of the last enqueue; 0: none yet */
	__u64 source; /* attachment that counts: a file that was found twice is counted once */
	__s32 rank;
	__s32 nranks;
	__u32 splits; /* made of it so far; XCTL_SPLITS_UNKNOWN */
	__u32 shrinks; /* made of it so far */
};

/* One of its splits failed in this rank: no telling any more which of the other ranks' the next one is. */
#define XCTL_SPLITS_UNKNOWN 0xffffffff

/* Value of the hash `xctl_gpu_waits`, by tid: a thread that is inside a call which waits for the GPU. */
struct xctl_gpu_wait {
	__u64 start_ns; /* of the process */
	__u64 since_ns;
	__u32 pid;
	__u32 call; /* enum xctl_gpu_call */
};

/* Index into the per-CPU array `xctl_gpu_calls`: how often each class of probes ran. */
enum xctl_gpu_class {
	XCTL_GPU_COMM = 0,
	XCTL_GPU_ENQUEUE = 1,
	XCTL_GPU_SYNC = 2,
	XCTL_GPU_ASK = 3,
	XCTL_GPU_CLASS_MAX = 4,
};

#endif
