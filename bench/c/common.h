// Shared by the peers that feel what an agent costs: each works without an end on a fixed CPU, and counts what it
// has done in the first eight bytes of the file that it is given, which whoever measures reads along.
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#define MUST(call) \
	({ \
		__typeof__(call) must_result = (call); \
		if (must_result == (__typeof__(call))-1) { \
			perror(#call); \
			_exit(99); \
		} \
		must_result; \
	})

// Where a thread runs moves these figures by more than any agent does.
static inline void pin(int cpu)
{
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET(cpu % (int)sysconf(_SC_NPROCESSORS_ONLN), &set);
	MUST(sched_setaffinity(0, sizeof set, &set));
}

static inline volatile uint64_t *counter(int argc, char **argv)
{
	MUST(prctl(PR_SET_PDEATHSIG, SIGKILL));
	if (argc < 2) _exit(98);
	int fd = MUST(open(argv[1], O_RDWR));
	return MUST(mmap(NULL, sizeof(uint64_t), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
}
