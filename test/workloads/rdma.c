// A process with RC queue pairs, one side of two. dev=, addr=: its device and its own address on it.
//   role=listen    prints `kind=listen port=`, where role=connect port= host=127.0.0.1 finds it; takes what is sent
//   role=connect   begins. Both are told what it does:
//     do=ping      a message, and waits for the answer
//     do=stream    messages, depth=4 at a time
//     do=write     RDMA writes: the other side's process has no part in them
//     do=idle      nothing
// n=1 queue pairs, used in turn; timeout=14 retry_cnt=7 rnr_retry=7 min_rnr=12: as in ibv_modify_qp; size=64 bytes.
// recvs=16: receives posted by the listener, and again as they are used; recvs=0: it never posts one. slow_ms: before each.
// wait=event: sleeps on a completion channel; wait=poll: spins in ibv_poll_cq; wait=sleep: looks at nothing any more.
// pace_ms: between two steps. on_error=hold|exit|go after a work request that failed: sleeps, ends (3), goes on without it.
// fork=keep: a child has the device open, too, and dies with this; fork=outlive: it does not.
// Says `kind=qp qpn= peer=` for each, `kind=all`, `kind=step step=` for the first and each hundredth, `kind=error qpn= status=`.
// SIGTERM: destroys all and ends. SIGUSR1: starts with the steps, where start=signal.
#include "rdma.h"

enum { RECV_ID = 1 };

static struct device device;
static struct ibv_comp_channel *channel;
static struct ibv_cq *cq;
static struct limits limits;
static struct ibv_qp **qps;
static struct end *mine, *theirs;
static long n, bytes, pace_ms, slow_ms, reply, steps, outstanding, answers, failed;
static const char *on_error, *waits;
static volatile sig_atomic_t ending, started;

static void on_signal(int signal)
{
	if (signal == SIGTERM) ending = 1;
	else started = 1;
}

static void finish(void)
{
	for (long i = 0; i < n; i++) ibv_destroy_qp(qps[i]);
	ibv_destroy_cq(cq);
	ibv_close_device(device.context);
	_exit(0);
}

static void hold(void)
{
	while (!ending) pause();
	finish();
}

static void post_recv(struct ibv_qp *qp)
{
	struct ibv_sge sge = {(uintptr_t)device.buffer, bytes, device.mr->lkey};
	struct ibv_recv_wr wr = {.wr_id = RECV_ID, .sg_list = &sge, .num_sge = 1}, *bad;
	ZERO(ibv_post_recv(qp, &wr, &bad));
}

static void post_send(long i, enum ibv_wr_opcode opcode)
{
	struct ibv_sge sge = {(uintptr_t)device.buffer, bytes, device.mr->lkey};
	struct ibv_send_wr wr = {.sg_list = &sge, .num_sge = 1, .opcode = opcode, .wr_id = i << 1}, *bad;
	wr.wr.rdma.remote_addr = theirs[i].address;
	wr.wr.rdma.rkey = theirs[i].rkey;
	ZERO(ibv_post_send(qps[i], &wr, &bad));
	outstanding++;
}

static long index_of(uint32_t qpn)
{
	for (long i = 0; i < n; i++)
		if (qps[i]->qp_num == qpn) return i;
	errno = ENOENT;
	fail("qpn %u", qpn);
}

static void take_failed(const struct ibv_wc *wc)
{
	// What fails behind the first is flushed, and nothing new.
	if (failed++ == 0) ready(getpid(), self_tid(), "kind=error qpn=%u status=%d", wc->qp_num, wc->status);
	if (strcmp(on_error, "exit") == 0) _exit(3);
	if (strcmp(on_error, "hold") == 0) hold();
}

static void take(const struct ibv_wc *wc)
{
	int received = (wc->wr_id & 1) == RECV_ID;
	if (!received) outstanding--;
	if (wc->status != IBV_WC_SUCCESS) {
		take_failed(wc);
		return;
	}
	if (!received) return;
	answers++;
	if (slow_ms > 0) sleep_ms(slow_ms);
	long i = index_of(wc->qp_num);
	post_recv(qps[i]);
	if (reply) post_send(i, IBV_WR_SEND);
}

// Everything that has completed; waits for the first.
static void take_all(void)
{
	struct ibv_wc wc[16];
	for (;;) {
		int got = ibv_poll_cq(cq, 16, wc);
		if (got < 0) fail("ibv_poll_cq");
		for (int i = 0; i < got; i++) take(&wc[i]);
		if (ending) finish();
		if (got > 0) return;
		if (channel == NULL) continue;
		ZERO(ibv_req_notify_cq(cq, 0));
		// Between the look and the request one may have come.
		got = ibv_poll_cq(cq, 1, wc);
		if (got > 0) {
			take(wc);
			return;
		}
		struct ibv_cq *which;
		void *context;
		if (ibv_get_cq_event(channel, &which, &context) == 0) ibv_ack_cq_events(which, 1);
	}
}

static void stepped(void)
{
	steps++;
	if (steps == 1 || steps % 100 == 0) ready(getpid(), self_tid(), "kind=step step=%ld", steps);
	if (pace_ms > 0) sleep_ms(pace_ms);
	if (ending) finish();
}

static void ping(void)
{
	for (long i = 0;; i = (i + 1) % n) {
		long before = answers;
		post_send(i, IBV_WR_SEND);
		while (answers == before || outstanding > 0) take_all();
		stepped();
	}
}

static void stream(enum ibv_wr_opcode opcode)
{
	for (long i = 0;; i = (i + 1) % n) {
		post_send(i, opcode);
		while (outstanding >= (long)limits.sends) take_all();
		stepped();
	}
}

static int connection(int argc, char **argv, int listens)
{
	if (!listens) return connect_to(arg_str(argc, argv, "host", "127.0.0.1"), arg_num(argc, argv, "port", 0));
	int listener = listen_at(arg_str(argc, argv, "host", "127.0.0.1"), arg_num(argc, argv, "port", 0), 1);
	ready(getpid(), self_tid(), "kind=listen port=%d", listen_port(listener));
	int fd = MUST(accept4(listener, NULL, NULL, SOCK_CLOEXEC));
	close(listener);
	return fd;
}

static void set_up(int argc, char **argv, int listens)
{
	device = device_open(argc, argv, bytes > 4096 ? bytes : 4096);
	if (strcmp(waits, "event") == 0) channel = NEED(ibv_create_comp_channel(device.context));
	struct ibv_device_attr most;
	ZERO(ibv_query_device(device.context, &most));
	// Of all sends together so many are on the way; a listener answers one at a time.
	long entries = n * (1 + limits.recvs) + limits.sends + 16;
	cq = NEED(ibv_create_cq(device.context, entries < most.max_cqe ? entries : most.max_cqe, NULL, channel, 0));
	qps = NEED(calloc(n, sizeof *qps));
	mine = NEED(calloc(n, sizeof *mine));
	theirs = NEED(calloc(n, sizeof *theirs));
	for (long i = 0; i < n; i++) {
		qps[i] = make_qp(&device, cq, limits);
		ZERO(to_init(qps[i]));
		mine[i] = (struct end){.qpn = qps[i]->qp_num, .psn = 0x100 + i, .rkey = device.mr->rkey,
				       .address = (uintptr_t)device.buffer, .gid = device.gid};
		for (uint32_t k = 0; k < limits.recvs; k++) post_recv(qps[i]);
	}
	int fd = connection(argc, argv, listens);
	exchange(fd, mine, theirs, n);
	for (long i = 0; i < n; i++) {
		ZERO(to_rtr(qps[i], &device, theirs[i], limits));
		ZERO(to_rts(qps[i], mine[i].psn, limits));
	}
	// Once more, for nobody may send before both are there.
	exchange(fd, mine, theirs, n);
	close(fd);
}

static void fork_as(const char *how)
{
	if (strcmp(how, "no") == 0) return;
	pid_t child;
	if (strcmp(how, "keep") == 0) {
		child = keeper(device.context->cmd_fd);
	} else {
		pid_t test = getppid();
		fflush(stdout);
		child = MUST(fork());
		if (child == 0) {
			close_all_but(device.context->cmd_fd);
			// Whoever reads what we print must see the end of the parent.
			int null = MUST(open("/dev/null", O_RDWR));
			for (int fd = 0; fd < 3; fd++) MUST(dup2(null, fd));
			// Not longer than the test.
			while (kill(test, 0) == 0) sleep_ms(100);
			_exit(0);
		}
	}
	ready(child, child, "kind=child");
}

int main(int argc, char **argv)
{
	die_with_parent();
	int listens = strcmp(arg_str(argc, argv, "role", "listen"), "listen") == 0;
	const char *what = arg_str(argc, argv, "do", "ping");
	limits = limits_of(argc, argv);
	n = arg_num(argc, argv, "n", 1);
	bytes = arg_num(argc, argv, "size", 64);
	pace_ms = arg_num(argc, argv, "pace_ms", 0);
	slow_ms = arg_num(argc, argv, "slow_ms", 0);
	reply = listens && strcmp(what, "ping") == 0;
	on_error = arg_str(argc, argv, "on_error", "hold");
	waits = arg_str(argc, argv, "wait", "event");
	struct sigaction action = {.sa_handler = on_signal};
	MUST(sigaction(SIGTERM, &action, NULL));
	MUST(sigaction(SIGUSR1, &action, NULL));
	struct rlimit memory = {RLIM_INFINITY, RLIM_INFINITY};
	// Not everybody may.
	setrlimit(RLIMIT_MEMLOCK, &memory);
	set_up(argc, argv, listens);
	for (long i = 0; i < n; i++)
		ready(getpid(), self_tid(), "kind=qp qpn=%u peer=%u", mine[i].qpn, theirs[i].qpn);
	fork_as(arg_str(argc, argv, "fork", "no"));
	ready(getpid(), self_tid(), "kind=all n=%ld", n);
	if (strcmp(waits, "sleep") == 0 || strcmp(what, "idle") == 0) hold();
	while (listens)
		for (take_all(); answers > steps;) stepped();
	if (strcmp(arg_str(argc, argv, "start", "now"), "signal") == 0)
		while (!started && !ending) sleep_ms(10);
	if (strcmp(what, "ping") == 0) ping();
	if (strcmp(what, "stream") == 0) stream(IBV_WR_SEND);
	if (strcmp(what, "write") == 0) stream(IBV_WR_RDMA_WRITE);
	errno = EINVAL;
	fail("do=%s", what);
}
