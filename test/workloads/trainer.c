// A rank, shaped like a PyTorch one: in each step main asks a data worker process for a batch (index pipe), the
// loader thread reads it from the worker (data pipe), the comm thread exchanges gradients with its peer over
// TCP, and main waits on a condition for both.
//   peer:    role=peer host= port=0        answers every gradient with one of its own
//   trainer: role=trainer host= port=      grad=BYTES pace=MS between steps
// Prints kind=listen (peer), kind=main|comm|loader|worker (trainer) and kind=step every 100 steps.
#include "common.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static long wanted, batches, exchanged; // steps asked for, loaded, exchanged
static int data_in, connection;
static long grad_size;
static volatile pid_t comm_tid, loader_tid;

static void advance(long *counter)
{
	pthread_mutex_lock(&lock);
	++*counter;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

static void *run_comm(void *unused)
{
	char *gradient = calloc(1, grad_size);
	prctl(PR_SET_NAME, "comm");
	comm_tid = self_tid();
	for (long step = 0;; step++) {
		pthread_mutex_lock(&lock);
		while (wanted <= step) pthread_cond_wait(&changed, &lock);
		pthread_mutex_unlock(&lock);
		if (send_all(connection, gradient, grad_size) == -1 || read_all(connection, gradient, grad_size) == -1)
			fail("gradient exchange");
		advance(&exchanged);
	}
	return unused;
}

static void *run_loader(void *unused)
{
	char batch[4096];
	prctl(PR_SET_NAME, "loader");
	loader_tid = self_tid();
	for (;;) {
		if (read_all(data_in, batch, sizeof batch) == -1) fail("data worker");
		advance(&batches);
	}
	return unused;
}

static void run_worker(int index_in, int data_out)
{
	char batch[4096] = {0}, index;
	prctl(PR_SET_NAME, "data-worker");
	while (read(index_in, &index, 1) == 1)
		if (write(data_out, batch, sizeof batch) != sizeof batch) break;
	_exit(0);
}

static void run_peer(const char *host, long port)
{
	int listener = listen_at(host, port, 8);
	char *gradient = calloc(1, grad_size);
	ready(getpid(), getpid(), "kind=listen port=%d", listen_port(listener));
	connection = MUST(accept4(listener, NULL, NULL, SOCK_CLOEXEC));
	ready_connection(connection, "conn");
	while (read_all(connection, gradient, grad_size) == 0 && send_all(connection, gradient, grad_size) == 0)
		;
}

int main(int argc, char **argv)
{
	die_with_parent();
	const char *host = arg_str(argc, argv, "host", "127.0.0.1");
	long port = arg_num(argc, argv, "port", 0), pace = arg_num(argc, argv, "pace", 5);
	grad_size = arg_num(argc, argv, "grad", 65536);
	if (strcmp(arg_str(argc, argv, "role", "trainer"), "peer") == 0) {
		run_peer(host, port);
		return 0;
	}
	int index_pipe[2], data_pipe[2];
	MUST(pipe2(index_pipe, O_CLOEXEC));
	MUST(pipe2(data_pipe, O_CLOEXEC));
	pid_t worker = fork_child();
	if (worker == 0) {
		close(index_pipe[1]);
		close(data_pipe[0]);
		run_worker(index_pipe[0], data_pipe[1]);
	}
	close(index_pipe[0]);
	close(data_pipe[1]);
	data_in = data_pipe[0];
	connection = connect_to(host, port);
	start_thread(run_comm, NULL);
	start_thread(run_loader, NULL);
	while (comm_tid == 0 || loader_tid == 0) sleep_ms(1);
	ready(worker, worker, "kind=worker index_pipe=%lu data_pipe=%lu", inode_of(index_pipe[1]), inode_of(data_in));
	ready(getpid(), loader_tid, "kind=loader data_pipe=%lu", inode_of(data_in));
	ready_connection(connection, "connected");
	ready(getpid(), comm_tid, "kind=comm inode=%lu", inode_of(connection));
	ready(getpid(), getpid(), "kind=main");
	for (long step = 1;; step++) {
		if (write(index_pipe[1], "", 1) != 1) fail("data worker");
		pthread_mutex_lock(&lock);
		wanted = step;
		pthread_cond_broadcast(&changed);
		while (exchanged < step || batches < step) pthread_cond_wait(&changed, &lock);
		pthread_mutex_unlock(&lock);
		if (step == 1 || step % 100 == 0) ready(getpid(), getpid(), "kind=step step=%ld", step);
		if (pace > 0) sleep_ms(pace);
	}
}
