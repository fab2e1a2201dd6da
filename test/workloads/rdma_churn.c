// Makes queue pairs and destroys them again, n=0 times (0: for ever), each brought to RTS and connected to itself.
// dev=, addr=: the device and an address of its own on it. pace_ms: between two. refuse=1: asks first for what the kernel
// must refuse. keep=1: so many stay.
// Says `kind=qp qpn= born=`, and for those that are gone `kind=gone qpn= born= gone=`: CLOCK_BOOTTIME, ns, around the calls.
#include "rdma.h"

int main(int argc, char **argv)
{
	die_with_parent();
	struct limits limits = limits_of(argc, argv);
	long n = arg_num(argc, argv, "n", 0), pace_ms = arg_num(argc, argv, "pace_ms", 0);
	long refuse = arg_num(argc, argv, "refuse", 0), keep = arg_num(argc, argv, "keep", 0);
	struct device device = device_open(argc, argv, 4096);
	struct ibv_cq *cq = NEED(ibv_create_cq(device.context, 64, NULL, NULL, 0));
	ready(getpid(), self_tid(), "kind=start");
	for (long made = 0; n == 0 || made < n; made++) {
		uint64_t born = boottime_ns();
		struct ibv_qp *qp = make_qp(&device, cq, limits);
		uint32_t qpn = qp->qp_num;
		struct end self = {.qpn = qpn, .psn = made, .gid = device.gid};
		ready(getpid(), self_tid(), "kind=qp qpn=%u born=%llu", qpn, (unsigned long long)born);
		// From RESET there is no way to RTS.
		if (refuse && to_rts(qp, 0, limits) == 0) fail("RESET to RTS was not refused");
		ZERO(to_init(qp));
		ZERO(to_rtr(qp, &device, self, limits));
		ZERO(to_rts(qp, made, limits));
		if (pace_ms > 0) sleep_ms(pace_ms);
		if (made < keep) continue;
		ZERO(ibv_destroy_qp(qp));
		ready(getpid(), self_tid(), "kind=gone qpn=%u born=%llu gone=%llu", qpn, (unsigned long long)born,
		      (unsigned long long)boottime_ns());
	}
	ready(getpid(), self_tid(), "kind=all n=%ld", n);
	for (;;) pause();
}
