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
/* Of ncclCommShrink; with more of them rank and size are left unknown. */
#define MAX_EXCLUDED 64

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
	struct xctl_nccl_split split;
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
	e->split = init->split;
	xctl_submit(e);
}

/* Also of a rank that named no color, and while a split that was asked for in a group is still to come. */
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
	e->split = init->split;
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

/* Was not seen when it was made: before the agent came, or by a function that is not looked at. */
static __always_inline struct xctl_nccl_count *count_unknown(const struct xctl_nccl_key *key, __u64 source)
{
	struct xctl_nccl_count fresh = {};

	fresh.rank = NCCL_UNKNOWN;
	fresh.nranks = NCCL_UNKNOWN;
	fresh.source = source;
	if (bpf_map_update_elem(&xctl_nccl_counts, key, &fresh, BPF_NOEXIST) == -E2BIG)
		xctl_count_loss(XCTL_LOST_TABLE_FULL);
	return bpf_map_lookup_elem(&xctl_nccl_counts, key);
}

/* One rank that did not take part in a split counts one more or fewer than the others from then on. */
static __always_inline void splits_unknown(__u64 parent)
{
	struct xctl_nccl_count *known;
	struct xctl_nccl_key key = {};

	key_of(&key, parent);
	known = bpf_map_lookup_elem(&xctl_nccl_counts, &key);
	if (known)
		known->splits = XCTL_SPLITS_UNKNOWN;
}

/*
 * The excluded ranks do not call, so that there is no counting the shrinks of a parent as its splits are. All who take
 * part in one that excludes these have taken part in every one that does: if it is the first for one of them, it is
 * for all. A later one has no id, and is compared with none.
 */
static __always_inline void shrink_of(struct init_call *init, const struct xctl_nccl_count *parent,
				      const __s32 *excluded, __s32 count)
{
	__s32 last = -1, below = 0;
	bool ordered = true;
	__u64 set = 0;

	if (count < 1 || count > MAX_EXCLUDED)
		return;
	for (__s32 i = 0; i < MAX_EXCLUDED; i++) {
		__s32 rank = 0;

		if (i >= count)
			break;
		if (bpf_probe_read_user(&rank, sizeof(rank), excluded + i)) {
			xctl_count_loss(XCTL_LOST_READ);
			return;
		}
		/* In any order. */
		set += mix((__u32)rank + 1ULL);
		/* What NCCL makes of a rank that is named twice is no rank: it is left unknown. */
		if (rank <= last)
			ordered = false;
		last = rank;
		if (rank < parent->rank)
			below++;
	}
	if (parent->id && !parent->shrinks)
		init->id = id_of(mix(parent->id ^ mix(set)));
	if (!ordered || parent->rank == NCCL_UNKNOWN || last >= parent->nranks)
		return;
	init->rank = parent->rank - below;
	init->nranks = parent->nranks - count;
}

/* A thread inside ncclCommUserRank or ncclCommCount. */
struct ask {
	__u64 comm;
	__u64 out; /* where the answer is put */
	__u32 rank; /* it asks for its rank, else for the size */
	__u32 pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, struct ask);
} xctl_asks SEC(".maps");

static __always_inline void answered(void *ctx, const struct ask *ask)
{
	struct xctl_nccl_count *known;
	struct xctl_nccl_key key = {};
	__s32 value = NCCL_UNKNOWN;

	if (bpf_probe_read_user(&value, sizeof(value), (void *)ask->out)) {
		xctl_count_loss(XCTL_LOST_READ);
		return;
	}
	key_of(&key, ask->comm);
	known = bpf_map_lookup_elem(&xctl_nccl_counts, &key);
	if (!known)
		known = count_unknown(&key, source_of(ctx));
	if (!known || value < 0)
		return;
	/* No rank is beyond the size: a program that says so is not believed. */
	if (ask->rank) {
		if (known->rank == NCCL_UNKNOWN && (known->nranks == NCCL_UNKNOWN || value < known->nranks))
			known->rank = value;
	} else if (known->nranks == NCCL_UNKNOWN && value > 0 && value > known->rank) {
		known->nranks = value;
	}
}

static __always_inline void enqueued(void *ctx, __u64 comm, bool p2p)
{
	struct xctl_nccl_count *count;
	struct xctl_nccl_key key = {};
	__u64 source = source_of(ctx);

	key_of(&key, comm);
	count = bpf_map_lookup_elem(&xctl_nccl_counts, &key);
	if (!count)
		count = count_unknown(&key, source);
	if (!count || count->source != source)
		return;
	__sync_fetch_and_add(p2p ? &count->p2p : &count->collectives, 1);
	count->last_ns = bpf_ktime_get_boot_ns();
}

#endif
