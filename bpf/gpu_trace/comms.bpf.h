/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Communicators: who they are, and how much was enqueued on each. Keyed by (pid, start, address): a child that
 * was forked after the init has none of its parent's, and an address that is used again is a new one, since
 * ncclCommDestroy and ncclCommAbort take the entry out and an init puts a fresh one in its place.
 */
#ifndef XCTL_GPU_TRACE_COMMS_BPF_H
#define XCTL_GPU_TRACE_COMMS_BPF_H

#define NCCL_UNKNOWN (-1)
#define NCCL_SUCCESS 0
#define NCCL_IN_PROGRESS 7
/* Of ncclCommInitAll: a node has no more GPUs. */
#define MAX_DEVICES 16
/* Of ncclUniqueId, where each version of NCCL keeps what is random or an address. */
#define ID_BYTES 32

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, struct xctl_nccl_key);
	__type(value, struct xctl_nccl_count);
} xctl_nccl_counts SEC(".maps");

/* A thread inside a call that makes a communicator. One that dies there is pushed out by others. */
struct init_call {
	__u64 out; /* where the call puts the communicator */
	__u64 id;
	__u64 since_ns;
	__s32 rank;
	__s32 nranks;
	__u32 call;
	__u32 pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, struct init_call);
} xctl_init_calls SEC(".maps");

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

static __always_inline __u64 mix(__u64 h)
{
	h ^= h >> 33;
	h *= 0xff51afd7ed558ccdULL;
	h ^= h >> 33;
	h *= 0xc4ceb9fe1a85ec53ULL;
	h ^= h >> 33;
	return h;
}

/* 0 is "unknown". */
static __always_inline __u64 id_of(__u64 hash)
{
	return hash ? hash : 1;
}

/* The id itself opens a communicator to whoever has it: only its hash leaves the process. */
static __always_inline __u64 hash_unique_id(const void *unique_id)
{
	__u64 words[ID_BYTES / 8] = {};
	__u64 h = 0;

	if (bpf_probe_read_user(words, sizeof(words), unique_id)) {
		xctl_count_loss(XCTL_LOST_READ);
		return 0;
	}
#pragma unroll
	for (int i = 0; i < ID_BYTES / 8; i++)
		h = mix(h ^ words[i]);
	return id_of(h);
}

static __always_inline struct task_struct *current_task(void)
{
	return (struct task_struct *)bpf_get_current_task();
}

static __always_inline void key_of(struct xctl_nccl_key *key, __u64 comm)
{
	key->start_ns = xctl_start_ns(current_task());
	key->comm = comm;
	key->pid = bpf_get_current_pid_tgid() >> 32;
}

static __always_inline struct xctl_nccl_comm *reserve_comm(__u32 state, __u32 call)
{
	struct xctl_nccl_comm *e = xctl_reserve(&xctl_critical, struct xctl_nccl_comm, XCTL_NCCL_COMM);
	__u64 id = bpf_get_current_pid_tgid();

	if (!e)
		return NULL;
	e->hdr.pid = id >> 32;
	e->tid = id;
	e->start_ns = xctl_start_ns(current_task());
	e->state = state;
	e->call = call;
	e->rank = NCCL_UNKNOWN;
	e->nranks = NCCL_UNKNOWN;
	return e;
}

static __always_inline void init_entered(struct init_call *init)
{
	__u32 tid = bpf_get_current_pid_tgid();
	struct xctl_nccl_comm *e;

	init->since_ns = bpf_ktime_get_boot_ns();
	/* The second attachment to the same file has nothing to add. */
	if (bpf_map_update_elem(&xctl_init_calls, &tid, init, BPF_ANY))
		xctl_count_loss(XCTL_LOST_TABLE_FULL);
	e = reserve_comm(XCTL_COMM_INIT, init->call);
	if (!e)
		return;
	e->id = init->id;
	e->since_ns = init->since_ns;
	e->rank = init->rank;
	e->nranks = init->nranks;
	xctl_submit(e);
}

/* A communicator is there from now on; all that was counted under its address was of another one. */
static __always_inline void comm_ready(void *ctx, __u64 comm, const struct init_call *init, __s32 rank, __s32 result)
{
	struct xctl_nccl_count fresh = {};
	struct xctl_nccl_key key = {};
	struct xctl_nccl_comm *e;

	key_of(&key, comm);
	fresh.id = init->id;
	fresh.rank = rank;
	fresh.nranks = init->nranks;
	fresh.source = source_of(ctx);
	if (bpf_map_update_elem(&xctl_nccl_counts, &key, &fresh, BPF_ANY))
		xctl_count_loss(XCTL_LOST_TABLE_FULL);
	e = reserve_comm(XCTL_COMM_READY, init->call);
	if (!e)
		return;
	e->comm = comm;
	e->id = init->id;
	e->since_ns = init->since_ns;
	e->rank = rank;
	e->nranks = init->nranks;
	e->result = result;
	xctl_submit(e);
}

static __always_inline void comm_failed(const struct init_call *init, __s32 result)
{
	struct xctl_nccl_comm *e = reserve_comm(XCTL_COMM_FAILED, init->call);

	if (!e)
		return;
	e->id = init->id;
	e->since_ns = init->since_ns;
	e->rank = init->rank;
	e->nranks = init->nranks;
	e->result = result;
	xctl_submit(e);
}

/* ncclCommFinalize, ncclCommDestroy and ncclCommAbort, at their entry: the address means nothing after them. */
static __always_inline void comm_ends(__u64 comm, __u32 state, __u32 call)
{
	struct xctl_nccl_count *known;
	struct xctl_nccl_key key = {};
	struct xctl_nccl_comm *e;

	key_of(&key, comm);
	known = bpf_map_lookup_elem(&xctl_nccl_counts, &key);
	if (!known)
		return;
	e = reserve_comm(state, call);
	if (e) {
		e->comm = comm;
		e->id = known->id;
		e->rank = known->rank;
		e->nranks = known->nranks;
		e->collectives = known->collectives;
		e->p2p = known->p2p;
		xctl_submit(e);
	}
	if (state != XCTL_COMM_FINALIZED)
		bpf_map_delete_elem(&xctl_nccl_counts, &key);
}

static __always_inline void enqueued(void *ctx, __u64 comm, bool p2p)
{
	struct xctl_nccl_count *count;
	struct xctl_nccl_key key = {};
	__u64 source = source_of(ctx);

	key_of(&key, comm);
	count = bpf_map_lookup_elem(&xctl_nccl_counts, &key);
	if (!count) {
		struct xctl_nccl_count fresh = {};

		/* It was made before the agent came. */
		fresh.rank = NCCL_UNKNOWN;
		fresh.nranks = NCCL_UNKNOWN;
		fresh.source = source;
		if (bpf_map_update_elem(&xctl_nccl_counts, &key, &fresh, BPF_NOEXIST) == -E2BIG)
			xctl_count_loss(XCTL_LOST_TABLE_FULL);
		count = bpf_map_lookup_elem(&xctl_nccl_counts, &key);
	}
	if (!count || count->source != source)
		return;
	__sync_fetch_and_add(p2p ? &count->p2p : &count->collectives, 1);
	count->last_ns = bpf_ktime_get_boot_ns();
}

#endif
