// host= port=0 mode=single|prefork|fork|threads, workers=N, do=sink|echo|source|slow.
//   single   one connection after the other in the main thread
//   prefork  N workers accept from the same listener
//   fork     a child per connection
//   threads  a thread per connection
//   source   sends rate=BYTES a second (0: all that goes), so that the accept side owns the retransmits
//   slow     never reads: the client runs into a zero window
// Prints kind=listen once it accepts, kind=conn for each connection from whoever serves it.
#include "common.h"

static const char *action;
static long rate, buffer_size;
static char block[65536];

static void source(int fd)
{
	double start = now_s(), sent = 0;
	size_t size = rate > 0 && rate / 20 < (long)sizeof block ? (size_t)(rate / 20 > 0 ? rate / 20 : 1) : sizeof block;
	for (;;) {
		if (rate > 0 && sent > (now_s() - start) * rate) {
			sleep_ms(10);
			continue;
		}
		if (send_all(fd, block, size) == -1) return;
		sent += size;
	}
}

static void serve(int fd)
{
	ready_connection(fd, "conn");
	if (strcmp(action, "source") == 0) source(fd);
	if (strcmp(action, "slow") == 0)
		for (;;) pause();
	for (;;) {
		ssize_t n = recv(fd, block, sizeof block, 0);
		if (n <= 0) break;
		if (strcmp(action, "echo") == 0 && send_all(fd, block, n) == -1) break;
	}
	close(fd);
}

static void *serve_thread(void *arg)
{
	serve((int)(long)arg);
	return NULL;
}

static int next_connection(int listener)
{
	for (;;) {
		int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		if (fd != -1) return fd;
		if (errno != EINTR && errno != ECONNABORTED) fail("accept");
	}
}

static void serve_in_turn(int listener)
{
	for (;;) serve(next_connection(listener));
}

int main(int argc, char **argv)
{
	die_with_parent();
	const char *host = arg_str(argc, argv, "host", "127.0.0.1"), *mode = arg_str(argc, argv, "mode", "single");
	action = arg_str(argc, argv, "do", "sink");
	rate = arg_num(argc, argv, "rate", 0);
	buffer_size = arg_num(argc, argv, "rcvbuf", strcmp(action, "slow") == 0 ? 4096 : 0);
	signal(SIGCHLD, SIG_IGN);
	int listener = listen_at(host, arg_num(argc, argv, "port", 0), 1024);
	if (buffer_size > 0) {
		int size = (int)buffer_size;
		MUST(setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &size, sizeof size));
	}
	if (strcmp(mode, "prefork") == 0) {
		long workers = arg_num(argc, argv, "workers", 4);
		for (long i = 0; i < workers; i++) {
			pid_t worker = fork_child();
			if (worker == 0) serve_in_turn(listener);
			await_state(worker, worker, 'S');
			ready(worker, worker, "kind=worker parent=%d", getpid());
		}
		ready(getpid(), getpid(), "kind=listen port=%d", listen_port(listener));
		for (;;) pause();
	}
	ready(getpid(), getpid(), "kind=listen port=%d", listen_port(listener));
	if (strcmp(mode, "single") == 0) serve_in_turn(listener);
	for (;;) {
		int fd = next_connection(listener);
		if (strcmp(mode, "threads") == 0) {
			pthread_detach(start_thread(serve_thread, (void *)(long)fd));
		} else if (strcmp(mode, "fork") == 0) {
			if (fork_child() == 0) {
				close(listener);
				serve(fd);
				_exit(0);
			}
			close(fd);
		} else {
			errno = EINVAL;
			fail("mode=%s", mode);
		}
	}
}
