// Queue pairs over libibverbs, for the workloads rdma*.c: a device by its name and an IPv4 address of its own, RC queue
// pairs with the caller's timeouts, and an exchange of their numbers over a TCP connection that is closed again before
// the first work request, so that nothing but RDMA is between the two.
#include "common.h"
#include <infiniband/verbs.h>

#define NEED(call) \
	({ \
		__typeof__(call) need_result = (call); \
		if (need_result == NULL) fail("%s:%d %s", __FILE__, __LINE__, #call); \
		need_result; \
	})

// libibverbs returns the error number.
#define ZERO(call) \
	({ \
		int zero_result = (call); \
		if (zero_result != 0) { \
			errno = abs(zero_result); \
			fail("%s:%d %s", __FILE__, __LINE__, #call); \
		} \
	})

struct device {
	struct ibv_context *context;
	struct ibv_pd *pd;
	struct ibv_mr *mr;
	char *buffer;
	int gid_index;
	union ibv_gid gid;
};

struct limits {
	uint8_t timeout, retry_cnt, rnr_retry, min_rnr;
	uint32_t sends, recvs;
};

// What the other side must know of a queue pair; both sides are of one architecture.
struct end {
	uint32_t qpn, psn, rkey, unused;
	uint64_t address;
	union ibv_gid gid;
};

static inline uint64_t boottime_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_BOOTTIME, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static inline struct limits limits_of(int argc, char **argv)
{
	return (struct limits){
		.timeout = arg_num(argc, argv, "timeout", 14),
		.retry_cnt = arg_num(argc, argv, "retry_cnt", 7),
		.rnr_retry = arg_num(argc, argv, "rnr_retry", 7),
		.min_rnr = arg_num(argc, argv, "min_rnr", 12),
		.sends = arg_num(argc, argv, "depth", 4),
		.recvs = arg_num(argc, argv, "recvs", 16),
	};
}

static inline struct ibv_context *context_of(const char *name)
{
	int count = 0;
	struct ibv_device **all = NEED(ibv_get_device_list(&count));
	for (int i = 0; i < count; i++)
		if (strcmp(ibv_get_device_name(all[i]), name) == 0) {
			struct ibv_context *context = NEED(ibv_open_device(all[i]));
			ibv_free_device_list(all);
			return context;
		}
	errno = ENODEV;
	fail("dev=%s", name);
}

static inline void find_gid(struct device *device, const char *address)
{
	union ibv_gid wanted = {.raw = {[10] = 0xff, [11] = 0xff}};
	if (inet_pton(AF_INET, address, wanted.raw + 12) != 1) fail("addr=%s", address);
	struct ibv_port_attr port;
	ZERO(ibv_query_port(device->context, 1, &port));
	for (int i = 0; i < port.gid_tbl_len; i++)
		if (ibv_query_gid(device->context, 1, i, &device->gid) == 0 &&
		    memcmp(&device->gid, &wanted, sizeof wanted) == 0) {
			device->gid_index = i;
			return;
		}
	errno = EADDRNOTAVAIL;
	fail("addr=%s", address);
}

static inline struct device device_open(int argc, char **argv, size_t bytes)
{
	struct device device = {.context = context_of(arg_str(argc, argv, "dev", ""))};
	find_gid(&device, arg_str(argc, argv, "addr", ""));
	device.pd = NEED(ibv_alloc_pd(device.context));
	// Pages of its own: those of the heap would be shared with a child of fork().
	if (posix_memalign((void **)&device.buffer, 4096, bytes) != 0) fail("posix_memalign");
	memset(device.buffer, 'x', bytes);
	int access = IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ;
	device.mr = NEED(ibv_reg_mr(device.pd, device.buffer, bytes, access));
	return device;
}

static inline struct ibv_qp *make_qp(struct device *device, struct ibv_cq *cq, struct limits limits)
{
	struct ibv_qp_init_attr init = {
		.send_cq = cq,
		.recv_cq = cq,
		.cap = {.max_send_wr = limits.sends + 1,
			.max_recv_wr = limits.recvs + 1,
			.max_send_sge = 1,
			.max_recv_sge = 1},
		.qp_type = IBV_QPT_RC,
		.sq_sig_all = 1,
	};
	return NEED(ibv_create_qp(device->pd, &init));
}

static inline int to_init(struct ibv_qp *qp)
{
	struct ibv_qp_attr attr = {
		.qp_state = IBV_QPS_INIT,
		.port_num = 1,
		.qp_access_flags = IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ,
	};
	return ibv_modify_qp(qp, &attr, IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS);
}

static inline int to_rtr(struct ibv_qp *qp, const struct device *device, struct end remote, struct limits limits)
{
	struct ibv_qp_attr attr = {
		.qp_state = IBV_QPS_RTR,
		.path_mtu = IBV_MTU_1024,
		.dest_qp_num = remote.qpn,
		.rq_psn = remote.psn,
		.max_dest_rd_atomic = 1,
		.min_rnr_timer = limits.min_rnr,
		.ah_attr = {.is_global = 1,
			    .port_num = 1,
			    .grh = {.dgid = remote.gid, .sgid_index = device->gid_index, .hop_limit = 64}},
	};
	return ibv_modify_qp(qp, &attr,
			     IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN | IBV_QP_RQ_PSN |
				     IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER);
}

static inline int to_rts(struct ibv_qp *qp, uint32_t psn, struct limits limits)
{
	struct ibv_qp_attr attr = {
		.qp_state = IBV_QPS_RTS,
		.sq_psn = psn,
		.timeout = limits.timeout,
		.retry_cnt = limits.retry_cnt,
		.rnr_retry = limits.rnr_retry,
		.max_rd_atomic = 1,
	};
	return ibv_modify_qp(qp, &attr,
			     IBV_QP_STATE | IBV_QP_SQ_PSN | IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY |
				     IBV_QP_MAX_QP_RD_ATOMIC);
}

// n ends each way; returns when both sides have all.
static inline void exchange(int fd, const struct end *mine, struct end *theirs, long n)
{
	if (send_all(fd, (const char *)mine, n * sizeof *mine) == -1 ||
	    read_all(fd, (char *)theirs, n * sizeof *theirs) == -1)
		fail("exchange");
}
