// Shared by the peers that feel what an agent costs: each runs seconds_ms=N on fixed CPUs and prints one number.
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <signal.h>
#include <time.h>
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

static inline double now_s(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

// Where a thread runs moves these figures by more than any agent does.
static inline void pin(int cpu)
{
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET(cpu % (int)sysconf(_SC_NPROCESSORS_ONLN), &set);
	MUST(sched_setaffinity(0, sizeof set, &set));
}

static inline double run_seconds(int argc, char **argv)
{
	MUST(prctl(PR_SET_PDEATHSIG, SIGKILL));
	return argc > 1 ? atof(argv[1]) : 1.0;
}
