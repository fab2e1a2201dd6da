/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Queue pairs as the kernel knows them, from the open file of a device: struct ib_uverbs_file has all objects that a
 * process made through it. libibverbs gives the address of its struct ibv_qp as `user_handle` (the asynchronous events
 * need it), which is how a queue pair here meets the one that a process posts to.
 *
 * The list is walked without its lock, as everything in it is only read by probe reads: what was taken out meanwhile
 * ends the walk early, what is read of freed memory meets no entry of the table, and user space checks the rest.
 *
 * All types are of modules (ib_core, ib_uverbs, rdma_rxe); whichever is not loaded is not relocated.
 */
#ifndef XCTL_RDMA_TRACE_QPS_BPF_H
#define XCTL_RDMA_TRACE_QPS_BPF_H

#define PAI __attribute__((preserve_access_index))

enum rdma_driver_id___x {
	RDMA_DRIVER_RXE___x = 14,
};

struct ib_device_ops___x {
	enum rdma_driver_id___x driver_id;
} PAI;

struct ib_device___x {
	struct ib_device_ops___x ops;
	char name[XCTL_RDMA_NAME_LEN];
} PAI;

struct ib_qp___x {
	struct ib_device___x *device;
	__u32 qp_num;
} PAI;

struct uverbs_api_object___x {
	__u32 id;
} PAI;

struct ib_uobject___x {
	__u64 user_handle;
	void *object;
	struct list_head list;
	struct uverbs_api_object___x *uapi_object;
} PAI;

struct ib_uverbs_file___x {
	struct list_head uobjects;
} PAI;

/* User ABI (rdma_user_rxe.h), mapped into the process. */
struct rxe_queue_buf___x {
	__u32 index_mask;
	__u32 producer_index;
	__u32 consumer_index;
} PAI;

struct rxe_queue___x {
	struct rxe_queue_buf___x *buf;
} PAI;

struct rxe_sq___x {
	struct rxe_queue___x *queue;
} PAI;

struct rxe_qp___x {
	struct ib_qp___x ibqp;
	struct rxe_sq___x sq;
} PAI;

/* enum uverbs_default_objects: in no BTF as a value of the kernel's own, and part of the user ABI. */
#define UVERBS_OBJECT_QP 4
/* Objects of one file: memory regions, completion queues and queue pairs together. */
#define MAX_UOBJECTS 65536

/* The end of a queue pair is not seen here: those that nobody posts to any more make room. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, struct xctl_posts_key);
	__type(value, struct xctl_posts);
} xctl_posts SEC(".maps");

/* What is being put together; only one pass runs at a time. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct xctl_verbs_file);
} xctl_verbs_scratch SEC(".maps");

struct qp_walk {
	struct list_head *head;
	struct list_head *at;
	struct xctl_verbs_file *file;
};

/* Work requests that are in the send queue: given to the device and not completed. */
static __always_inline __s32 rxe_outstanding(struct ib_qp___x *ibqp)
{
	struct rxe_qp___x *qp;
	struct rxe_queue_buf___x *buf;

	if (!bpf_core_type_exists(struct rxe_qp___x))
		return -1;
	qp = (void *)ibqp - bpf_core_field_offset(struct rxe_qp___x, ibqp);
	buf = BPF_CORE_READ(qp, sq.queue, buf);
	if (!buf)
		return -1;
	return (BPF_CORE_READ(buf, producer_index) - BPF_CORE_READ(buf, consumer_index)) &
	       BPF_CORE_READ(buf, index_mask);
}

static __always_inline void qp_seen(struct xctl_verbs_file *file, struct ib_qp___x *qp, __u64 handle)
{
	struct ib_device___x *device = BPF_CORE_READ(qp, device);
	struct xctl_posts_key key = {};
	struct xctl_posts *posts;
	__u32 nth = file->qps;

	if (nth == 0) {
		file->driver = BPF_CORE_READ(device, ops.driver_id);
		bpf_core_read_str(&file->device, sizeof(file->device), &device->name);
	}
	file->qps = nth + 1;
	if (nth < XCTL_VERBS_QPS) {
		file->handles[nth % XCTL_VERBS_QPS] = handle;
		file->qpns[nth % XCTL_VERBS_QPS] = BPF_CORE_READ(qp, qp_num);
	}
	key.start_ns = file->start_ns;
	key.qp = handle;
	key.pid = file->hdr.pid;
	posts = bpf_map_lookup_elem(&xctl_posts, &key);
	if (!posts || posts->qpn != BPF_CORE_READ(qp, qp_num))
		return;
	posts->known = 1;
	posts->driver = file->driver;
	__builtin_memcpy(posts->device, file->device, sizeof(posts->device));
	if (file->driver == RDMA_DRIVER_RXE___x)
		posts->outstanding = rxe_outstanding(qp);
}

static long next_uobject(__u32 i, void *context)
{
	struct qp_walk *walk = context;
	struct ib_uobject___x *uobject;
	struct list_head *at = walk->at;

	if (!at || at == walk->head)
		return 1;
	uobject = (void *)at - bpf_core_field_offset(struct ib_uobject___x, list);
	walk->at = BPF_CORE_READ(at, next);
	/* It was taken out. */
	if (walk->at == at)
		return 1;
	if (BPF_CORE_READ(uobject, uapi_object, id) == UVERBS_OBJECT_QP) {
		struct ib_qp___x *qp = BPF_CORE_READ(uobject, object);

		if (qp)
			qp_seen(walk->file, qp, BPF_CORE_READ(uobject, user_handle));
	}
	return 0;
}

static __always_inline void walk_qps(struct ib_uverbs_file___x *ufile, struct xctl_verbs_file *file)
{
	struct qp_walk walk = {};

	walk.head = (void *)ufile + bpf_core_field_offset(struct ib_uverbs_file___x, uobjects);
	walk.at = BPF_CORE_READ(ufile, uobjects.next);
	walk.file = file;
	bpf_loop(MAX_UOBJECTS, next_uobject, &walk, 0);
}

#endif
