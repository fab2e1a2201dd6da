// Ends itself after `delay` ms: code=N by exit, signal=N by that signal, core=1 with a core dump where the
// node writes one (into the working directory).
#include "common.h"

int main(int argc, char **argv)
{
	die_with_parent();
	long code = arg_num(argc, argv, "code", 0), sig = arg_num(argc, argv, "signal", 0);
	rlim_t core = arg_num(argc, argv, "core", 0) != 0 ? RLIM_INFINITY : 0;
	struct rlimit limit = {.rlim_cur = core, .rlim_max = RLIM_INFINITY};
	if (getrlimit(RLIMIT_CORE, &limit) == 0) {
		limit.rlim_cur = core == 0 ? 0 : limit.rlim_max;
		MUST(setrlimit(RLIMIT_CORE, &limit));
	}
	ready(getpid(), getpid(), "kind=all code=%ld signal=%ld core_limit=%lu", code, sig, (unsigned long)limit.rlim_cur);
	sleep_ms(arg_num(argc, argv, "delay", 0));
	if (sig == 0) exit((int)code);
	signal((int)sig, SIG_DFL);
	kill(getpid(), (int)sig);
	for (;;) pause();
}
