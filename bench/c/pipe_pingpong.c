// One byte to and fro over two pipes between two processes on one CPU: thousand round trips a second.
#include "common.h"

int main(int argc, char **argv)
{
	double seconds = run_seconds(argc, argv);
	int down[2], up[2];
	char byte = 0;
	MUST(pipe(down));
	MUST(pipe(up));
	pin(1);
	if (MUST(fork()) == 0) {
		MUST(prctl(PR_SET_PDEATHSIG, SIGKILL));
		close(down[1]);
		while (read(down[0], &byte, 1) == 1 && write(up[1], &byte, 1) == 1)
			;
		_exit(0);
	}
	double start = now_s(), now = start;
	long rounds = 0;
	for (; now < start + seconds; now = now_s())
		for (int i = 0; i < 64; i++, rounds++)
			if (write(down[1], &byte, 1) != 1 || read(up[0], &byte, 1) != 1) _exit(99);
	printf("%.3f\n", rounds / (now - start) / 1e3);
	return 0;
}
