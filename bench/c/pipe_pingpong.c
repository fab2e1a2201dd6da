// One byte to and fro over two pipes between two processes on one CPU: counts round trips.
#include "common.h"

int main(int argc, char **argv)
{
	volatile uint64_t *count = counter(argc, argv);
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
	for (;; ++*count)
		if (write(down[1], &byte, 1) != 1 || read(up[0], &byte, 1) != 1) return 99;
}
