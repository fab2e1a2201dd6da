// Starts path=/bin/true (an absolute path) rate=N times a second for seconds=N, and says how many it managed.
#include "common.h"
#include <spawn.h>

int main(int argc, char **argv)
{
	die_with_parent();
	char *path = (char *)arg_str(argc, argv, "path", "/bin/true");
	double rate = arg_num(argc, argv, "rate", 1000), seconds = arg_num(argc, argv, "seconds", 30);
	char *child_argv[] = {path, NULL}, *child_env[] = {NULL};
	// Zombies reap themselves: a wait per child would make the spawner the bottleneck.
	signal(SIGCHLD, SIG_IGN);
	ready(getpid(), getpid(), "kind=all rate=%.0f seconds=%.0f", rate, seconds);
	double start = now_s(), said = start;
	long count = 0, said_count = 0;
	for (double now = start; now < start + seconds; now = now_s()) {
		if (now - said >= 1) {
			ready(getpid(), getpid(), "kind=rate per_second=%.0f", (count - said_count) / (now - said));
			said = now;
			said_count = count;
		}
		if (count >= (now - start) * rate) {
			sleep_ms(1);
			continue;
		}
		pid_t child;
		errno = posix_spawn(&child, path, NULL, NULL, child_argv, child_env);
		if (errno != 0 && errno != EAGAIN) fail("posix_spawn %s", path);
		if (errno == 0) count++;
	}
	ready(getpid(), getpid(), "kind=done count=%ld seconds=%.2f", count, now_s() - start);
}
