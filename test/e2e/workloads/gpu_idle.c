// What can keep a GPU idle and is in no other workload.
//   mode=dead-worker  reads a pipe that its worker fills; it has not closed its own writing end, so that it never
//                     learns of the worker's death
//   mode=refused      connects to host:port again and again, and sleeps in between, as a rendezvous does
#include "common.h"

static void dead_worker(void)
{
	int ends[2];
	char byte;
	MUST(pipe2(ends, O_CLOEXEC));
	pid_t worker = fork_child();
	if (worker == 0) {
		MUST(prctl(PR_SET_NAME, "worker"));
		close(ends[0]);
		for (;;) {
			if (write(ends[1], "b", 1) != 1) _exit(0);
			sleep_ms(20);
		}
	}
	ready(getpid(), getpid(), "kind=all worker=%d pipe=%lu", worker, inode_of(ends[0]));
	while (read(ends[0], &byte, 1) == 1)
		;
	fail("read");
}

static void refused(const char *host, long port)
{
	union address a;
	socklen_t length = address_of(host, port, &a);
	ready(getpid(), getpid(), "kind=all");
	for (;;) {
		int fd = MUST(socket(a.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
		if (connect(fd, &a.any, length) == 0) fail("somebody listens");
		close(fd);
		sleep_ms(250);
	}
}

int main(int argc, char **argv)
{
	die_with_parent();
	const char *mode = arg_str(argc, argv, "mode", "dead-worker");
	if (strcmp(mode, "dead-worker") == 0) dead_worker();
	if (strcmp(mode, "refused") == 0) refused(arg_str(argc, argv, "host", "127.0.0.1"), arg_num(argc, argv, "port", 9));
	errno = EINVAL;
	fail("mode=%s", mode);
}
