/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* RDMA: queue pairs, retries, completions, memory and the connection manager. Part of xctl_events.h, whose rules hold here. */
#ifndef XCTL_EVENTS_RDMA_H
#define XCTL_EVENTS_RDMA_H

#define XCTL_RDMA_NAME_LEN 64 /* IB_DEVICE_NAME_MAX */

/* A queue pair and its owner (hdr.pid, start_ns, comm); of a port or device without what does not apply. */
struct xctl_rdma_id {
	__u64 start_ns; /* of the process that created it; 0: the kernel's own, or unknown */
	__u32 dev; /* index of the device, which a new name does not change */
	__u32 qpn; /* 0: none is meant */
	__u32 port; /* 0: none is known */
	__u32 netns; /* inode, of the owner; 0 unknown */
	char comm[XCTL_COMM_LEN]; /* of the owner */
	char device[XCTL_RDMA_NAME_LEN];
};

enum xctl_qp_change {
	XCTL_QP_SEEN = 1,
	XCTL_QP_CREATE = 2,
	XCTL_QP_MODIFY = 3,
	XCTL_QP_DESTROY = 4,
	XCTL_QP_ERROR = 5, /* went into ERR without being asked to */
};

/* Which fields of struct xctl_rdma_qp say something. */
#define XCTL_QF_STATE 1u
#define XCTL_QF_LOCAL 2u /* local_gid */
#define XCTL_QF_REMOTE_GID 4u
#define XCTL_QF_REMOTE_LID 8u
#define XCTL_QF_REMOTE_QPN 16u
#define XCTL_QF_TIMEOUT 32u
#define XCTL_QF_RETRY_CNT 64u
#define XCTL_QF_RNR_RETRY 128u
#define XCTL_QF_EXITING 256u /* the owner was ending when it destroyed it */

/* XCTL_RDMA_QP; of a modify only what it sets. */
struct xctl_rdma_qp {
	struct xctl_hdr hdr;
	struct xctl_rdma_id id;
	__u8 local_gid[16];
	__u8 remote_gid[16];
	__u32 remote_qpn;
	__s32 err; /* modify that was refused: the negative errno */
	__u32 flags; /* XCTL_QF_* */
	__u16 remote_lid;
	__u8 change; /* enum xctl_qp_change */
	__u8 type; /* enum ib_qp_type; 255: the driver's own */
	__u8 state; /* enum ib_qp_state */
	__u8 timeout; /* 4.096 us << timeout */
	__u8 retry_cnt;
	__u8 rnr_retry;
	__u32 pad;
};

/* XCTL_RDMA_RETRY */
struct xctl_rdma_retry {
	struct xctl_hdr hdr;
	struct xctl_rdma_id id;
	__u64 since_ns; /* retries without an answer since; 0: it has been answered */
	__u64 total_retries; /* since the first that was seen of this queue pair */
	__u64 total_rnr;
	__u32 retries; /* in this window */
	__u32 timeouts;
	__u32 rnr;
	__u32 retries_left;
};

/* XCTL_RDMA_COMPLETION */
struct xctl_rdma_completion {
	struct xctl_hdr hdr;
	struct xctl_rdma_id id;
	__u32 status; /* enum ib_wc_status */
	__u32 vendor_err;
};

/* XCTL_RDMA_ASYNC */
struct xctl_rdma_async {
	struct xctl_hdr hdr;
	struct xctl_rdma_id id;
	__u32 event; /* enum ib_event_type */
	__u32 pad;
};

/* XCTL_RDMA_CM; addresses as in struct xctl_flow. */
struct xctl_rdma_cm {
	struct xctl_hdr hdr;
	struct xctl_rdma_id id; /* netns: whose addresses these are */
	__u8 laddr[16];
	__u8 raddr[16];
	__u32 event; /* enum rdma_cm_event_type */
	__s32 status;
	__u16 family; /* AF_INET, AF_INET6, AF_IB; 0 unknown */
	__u16 lport;
	__u16 rport;
	__u16 pad;
};

/* Key of the hash `xctl_rdma_memory`. */
struct xctl_rdma_memory_key {
	__u64 start_ns;
	__u32 pid;
	__u32 pad;
};

/* Its value: what a process has registered. */
struct xctl_rdma_memory {
	__u64 bytes;
	__u64 regions;
};

/* Value of the hash `xctl_rxe_devices`, by index of the device: retries begun by all of its queue pairs. */
struct xctl_rxe_device {
	__u64 counter; /* the device's own, completer_retry_err, as it was last read */
	__u64 first; /* as it was when the agent first read it */
	__u64 told; /* of those since, whose queue pair is known */
};

#endif
