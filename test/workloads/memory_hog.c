// Uses mib=N of memory, a MiB every step_ms=N (0), and keeps it. ready kind=all once it has it, kind=start before.
// again=1: goes on for ever, and the kernel may take every MiB back as soon as it was written (MADV_FREE), so that
// a limit is run into over and over and nobody is killed.
#include "common.h"
#include <sys/mman.h>

int main(int argc, char **argv)
{
	die_with_parent();
	size_t mib = arg_num(argc, argv, "mib", 64);
	long step_ms = arg_num(argc, argv, "step_ms", 0), again = arg_num(argc, argv, "again", 0);
	char *memory = MUST((char *)mmap(NULL, mib << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	// Small pages: a huge one is charged at once, or not at all when the limit is near.
	madvise(memory, mib << 20, MADV_NOHUGEPAGE);
	ready(getpid(), self_tid(), "kind=start");
	for (size_t i = 0; i < mib; i = again && i + 1 == mib ? 0 : i + 1) {
		memset(memory + (i << 20), (int)i + 1, 1 << 20);
		if (again) MUST(madvise(memory + (i << 20), 1 << 20, MADV_FREE));
		if (step_ms > 0) sleep_ms(step_ms);
	}
	ready(getpid(), self_tid(), "kind=all");
	for (;;) pause();
}
