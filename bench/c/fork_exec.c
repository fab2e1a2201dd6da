// fork, exec of itself (which exits at once), wait, on one CPU: counts processes.
#include "common.h"
#include <sys/wait.h>

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "child") == 0) _exit(0);
	volatile uint64_t *count = counter(argc, argv);
	char *child_argv[] = {argv[0], "child", NULL};
	pin(1);
	for (;; ++*count) {
		pid_t child = MUST(fork());
		if (child == 0) {
			execv("/proc/self/exe", child_argv);
			_exit(99);
		}
		int status;
		MUST(waitpid(child, &status, 0));
		if (status != 0) return 99;
	}
}
