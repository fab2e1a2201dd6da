/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The InfiniBand subsystem's types, as far as they are read here. vmlinux.h has none of them: they are those of
 * modules, whose BTF (5.11) libbpf searches when the object is loaded, so that the modules have to be there first.
 * Names and nesting are the kernel's, what is left out is not needed; CO-RE finds each field where it is.
 *
 * A module that was built without BTF (drivers from outside the kernel's tree often are) cannot be read at all, and
 * the loader says so.
 */
#ifndef XCTL_RDMA_TYPES_BPF_H
#define XCTL_RDMA_TYPES_BPF_H

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

/* CO-RE wants an enum where the kernel has one of that name. The values of these two are looked up, never used. */
enum rdma_restrack_type {
	RDMA_RESTRACK_QP = 0x7f00,
	RDMA_RESTRACK_MR = 0x7f01,
};

enum rxe_counters {
	RXE_CNT_COMP_RETRY = 0x7f00,
};

/* The values of all others are of the user ABI, or of the InfiniBand specification. */
enum rdma_driver_id {
	RDMA_DRIVER_MLX5 = 1,
	RDMA_DRIVER_RXE = 14,
};

enum ib_qp_type {
	IB_QPT_SMI = 0,
	IB_QPT_GSI = 1,
};

enum ib_qp_state {
	IB_QPS_ERR = 6,
};

enum rdma_ah_attr_type {
	RDMA_AH_ATTR_TYPE_IB = 1,
};

enum ib_event_type {
	IB_EVENT_COMM_EST = 4,
	IB_EVENT_SQ_DRAINED = 5,
};

enum ib_wc_status {
	IB_WC_WR_FLUSH_ERR = 5,
	IB_WC_GENERAL_ERR = 21,
};

enum rdma_cm_event_type {
	RDMA_CM_EVENT_ADDR_RESOLVED = 0,
};

struct rdma_restrack_entry {
	struct task_struct *task; /* who made it, a thread; NULL: the kernel's own */
	enum rdma_restrack_type type;
};

union ib_gid {
	__u8 raw[16];
};

struct ib_gid_attr {
	union ib_gid gid;
};

struct ib_device_ops {
	enum rdma_driver_id driver_id;
};

struct ib_device {
	struct ib_device_ops ops;
	char name[64];
	__u32 index;
};

struct ib_uobject;

struct ib_qp {
	struct ib_device *device;
	struct ib_uobject *uobject; /* the kernel's ib_uqp_object begins with one */
	__u32 qp_num;
	enum ib_qp_type qp_type;
	const struct ib_gid_attr *av_sgid_attr;
	__u32 port; /* 32 bits since 5.13 */
	struct rdma_restrack_entry res;
};

struct ib_global_route {
	union ib_gid dgid;
};

struct ib_ah_attr {
	__u16 dlid;
};

#define IB_AH_GRH 1

struct rdma_ah_attr {
	struct ib_global_route grh;
	__u8 ah_flags;
	enum rdma_ah_attr_type type;
	union {
		struct ib_ah_attr ib;
	};
};

/* enum ib_qp_attr_mask */
#define IB_QP_STATE (1 << 0)
#define IB_QP_PORT (1 << 5)
#define IB_QP_AV (1 << 7)
#define IB_QP_TIMEOUT (1 << 9)
#define IB_QP_RETRY_CNT (1 << 10)
#define IB_QP_RNR_RETRY (1 << 11)
#define IB_QP_DEST_QPN (1 << 20)

struct ib_qp_attr {
	enum ib_qp_state qp_state;
	__u32 dest_qp_num;
	struct rdma_ah_attr ah_attr;
	__u32 port_num;
	__u8 timeout;
	__u8 retry_cnt;
	__u8 rnr_retry;
};

struct ib_cq {
	struct ib_device *device;
	struct rdma_restrack_entry res;
};

struct ib_mr {
	struct ib_device *device;
	__u64 length;
	struct ib_uobject *uobject;
	struct rdma_restrack_entry res;
};

struct ib_event {
	struct ib_device *device;
	union {
		struct ib_cq *cq;
		struct ib_qp *qp;
		__u32 port_num;
	} element;
	enum ib_event_type event;
};

/* ---- ib_uverbs: what a process has through an open file ------------------ */

#define UVERBS_OBJECT_QP 4
#define UVERBS_OBJECT_MR 7

struct uverbs_api_object {
	__u32 id;
};

struct ib_uobject {
	void *object;
	struct list_head list;
	const struct uverbs_api_object *uapi_object;
};

struct ib_uverbs_file {
	struct list_head uobjects;
};

/* ---- rdma_cm -------------------------------------------------------------- */

struct rdma_dev_addr {
	struct net *net;
};

struct rdma_addr {
	struct __kernel_sockaddr_storage src_addr;
	struct __kernel_sockaddr_storage dst_addr;
	struct rdma_dev_addr dev_addr;
};

struct rdma_route {
	struct rdma_addr addr;
};

struct rdma_cm_id {
	struct ib_device *device;
	struct rdma_route route;
	__u32 port_num; /* 32 bits since 5.13 */
};

struct rdma_id_private {
	struct rdma_cm_id id;
	__u32 qp_num;
	struct rdma_restrack_entry res;
};

struct rdma_cm_event {
	enum rdma_cm_event_type event;
	int status;
};

/* ---- drivers whose queue pairs keep what they were told ---------------------- */

struct mlx5_ib_qp {
	struct ib_qp ibqp;
	__u8 state;
};

union rxe_gid {
	__u8 raw[16];
};

struct rxe_global_route {
	union rxe_gid dgid;
};

struct rxe_av {
	struct rxe_global_route grh;
};

struct rxe_req_info {
	__u32 psn;
	int need_retry;
	int wait_for_rnr_timer;
};

struct rxe_comp_info {
	__u32 psn;
	int started_retry;
	__u32 retry_cnt;
};

struct rxe_resp_info {
	enum ib_wc_status status;
};

struct rxe_queue_buf {
	__u8 data[1];
};

struct rxe_queue {
	struct rxe_queue_buf *buf;
	unsigned int log2_elem_size;
	__u32 index_mask;
	__u32 index;
};

struct rxe_sq {
	struct rxe_queue *queue;
};

struct rxe_send_wqe {
	__u32 status; /* enum ib_wc_status */
};

struct rxe_qp {
	struct ib_qp ibqp;
	struct ib_qp_attr attr;
	struct rxe_sq sq;
	struct rxe_av pri_av;
	struct rxe_req_info req;
	struct rxe_comp_info comp;
	struct rxe_resp_info resp;
	struct timer_list retrans_timer;
	struct timer_list rnr_nak_timer;
};

struct rxe_dev {
	struct ib_device ib_dev;
	atomic64_t stats_counters[1];
};

#pragma clang attribute pop

#endif
