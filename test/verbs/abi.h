// What probe `rdma-trace` knows of libibverbs' public ABI (infiniband/verbs.h), at the same places: for doubles, where
// neither the library nor a device is at hand. That the places are right is proven with the real ones, in a guest.
#include <stdint.h>

struct fake_device {
	void *ops[2];
	int node_type, transport_type;
	char name[64];
};

struct fake_qp;

struct fake_sge {
	uint64_t addr;
	uint32_t length, lkey;
};

struct fake_wr {
	uint64_t wr_id;
	struct fake_wr *next;
	struct fake_sge *sg_list;
	int num_sge, opcode;
	unsigned flags, imm;
	uint64_t rest[11];
};

typedef int (*fake_post)(struct fake_qp *, struct fake_wr *, struct fake_wr **);

struct fake_context {
	struct fake_device *device; // 0
	void *ops_before[25];       // 8
	fake_post post_send;        // 208
	void *ops_after[6];         // 216
	int cmd_fd;                 // 264
};

struct fake_qp {
	struct fake_context *context; // 0
	void *pointers[5];            // 8
	uint32_t handle, qp_num;      // 48, 52
	uint32_t state, type;
};

_Static_assert(__builtin_offsetof(struct fake_device, name) == 24, "ibv_device.name");
_Static_assert(__builtin_offsetof(struct fake_context, post_send) == 208, "ibv_context.ops.post_send");
_Static_assert(__builtin_offsetof(struct fake_context, cmd_fd) == 264, "ibv_context.cmd_fd");
_Static_assert(__builtin_offsetof(struct fake_qp, qp_num) == 52, "ibv_qp.qp_num");
_Static_assert(sizeof(struct fake_wr) == 128 && sizeof(struct fake_sge) == 16, "ibv_send_wr, ibv_sge");
