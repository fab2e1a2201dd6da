// rate= processes a second that end at once with code=N, for seconds=; says how many there were, and stays until all
// of them are gone.
#include "common.h"

int main(int argc, char **argv)
{
	die_with_parent();
	double rate = arg_num(argc, argv, "rate", 10000), seconds = arg_num(argc, argv, "seconds", 3);
	int code = (int)arg_num(argc, argv, "code", 0);
	double start = now_s();
	long count = 0;
	signal(SIGCHLD, SIG_IGN);
	for (double now = start; now < start + seconds; now = now_s()) {
		if (count >= (now - start) * rate) {
			sleep_ms(1);
			continue;
		}
		// The child runs while this process is suspended, which is what makes 10,000 a second possible.
		pid_t child = vfork();
		if (child == 0) _exit(code);
		if (child > 0) count++;
		else if (errno != EAGAIN) fail("vfork");
	}
	double took = now_s() - start;
	while (waitpid(-1, NULL, 0) != -1 || errno != ECHILD)
		;
	ready(getpid(), getpid(), "kind=done count=%ld per_second=%.0f", count, count / took);
	for (;;) pause();
}
