// A child ends with code=3; another one then gets its pid and sleeps. Needs CAP_SYS_ADMIN for ns_last_pid.
// Prints kind=first when the child has ended (not reaped yet), waits for a line on stdin-like file go=PATH, then
// kind=all with the pid that both had.
#include "common.h"

static pid_t born_as(pid_t wanted)
{
	for (int tries = 0; tries < 20000; tries++) {
		char text[16];
		int n = snprintf(text, sizeof text, "%d", wanted - 1);
		int fd = MUST(open("/proc/sys/kernel/ns_last_pid", O_WRONLY | O_CLOEXEC));
		if (write(fd, text, n) != n) fail("ns_last_pid");
		close(fd);
		pid_t child = fork_child();
		if (child == 0)
			for (;;) pause();
		if (child == wanted) return child;
		kill(child, SIGKILL);
		MUST(waitpid(child, NULL, 0));
	}
	errno = EAGAIN;
	fail("pid %d", wanted);
}

int main(int argc, char **argv)
{
	die_with_parent();
	const char *go = arg_str(argc, argv, "go", "");
	pid_t first = fork_child();
	if (first == 0) {
		sleep_ms(arg_num(argc, argv, "lives", 0));
		_exit(3);
	}
	MUST(waitpid(first, NULL, 0));
	ready(getpid(), getpid(), "kind=first child=%d", first);
	while (access(go, F_OK) != 0) sleep_ms(5);
	pid_t second = born_as(first);
	await_state(second, second, 'S');
	ready(getpid(), getpid(), "kind=all child=%d", second);
	for (;;) pause();
}
