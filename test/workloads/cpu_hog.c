// Burns CPU. threads=N of them; cpu=N pins all to one CPU; nice=N; seconds=N until it ends by itself (60).
// duty=N: per cent of each 10 ms that a thread burns, the rest it sleeps (100).
#include "common.h"
#include <sched.h>

static int duty;
static double until_s;

static void *burn(void *unused)
{
	ready(getpid(), self_tid(), "kind=thread");
	for (double now = now_s(); now < until_s;) {
		double rest = now + 0.010 * duty / 100;
		while ((now = now_s()) < rest)
			;
		if (duty < 100) sleep_ms((100 - duty) / 10);
	}
	_exit(0);
	return unused;
}

int main(int argc, char **argv)
{
	die_with_parent();
	long cpu = arg_num(argc, argv, "cpu", -1), threads = arg_num(argc, argv, "threads", 1);
	duty = arg_num(argc, argv, "duty", 100);
	until_s = now_s() + arg_num(argc, argv, "seconds", 60);
	if (cpu >= 0) {
		cpu_set_t set;
		CPU_ZERO(&set);
		CPU_SET(cpu, &set);
		MUST(sched_setaffinity(0, sizeof set, &set));
	}
	errno = 0;
	if (nice(arg_num(argc, argv, "nice", 0)) == -1 && errno != 0) fail("nice");
	ready(getpid(), self_tid(), "kind=all");
	for (long i = 1; i < threads; i++) start_thread(burn, NULL);
	burn(NULL);
}
