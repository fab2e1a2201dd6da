// n=N established connections to a listener of its own on host=127.0.0.1 (2N sockets), all idle.
// chatter=N sends a byte over N of them each second.
#include "common.h"

int main(int argc, char **argv)
{
	die_with_parent();
	long n = arg_num(argc, argv, "n", 1000), chatter = arg_num(argc, argv, "chatter", 0);
	const char *host = arg_str(argc, argv, "host", "127.0.0.1");
	struct rlimit limit;
	MUST(getrlimit(RLIMIT_NOFILE, &limit));
	limit.rlim_cur = limit.rlim_max;
	MUST(setrlimit(RLIMIT_NOFILE, &limit));
	int listener = listen_at(host, 0, 128), port = listen_port(listener);
	int *near_end = calloc(n, sizeof *near_end), *far_end = calloc(n, sizeof *far_end);
	if (near_end == NULL || far_end == NULL) fail("calloc");
	for (long i = 0; i < n; i++) {
		near_end[i] = connect_to(host, port);
		far_end[i] = MUST(accept4(listener, NULL, NULL, SOCK_CLOEXEC));
	}
	ready(getpid(), getpid(), "kind=all n=%ld sockets=%ld port=%d", n, 2 * n, port);
	if (chatter == 0)
		for (;;) pause();
	for (long at = 0;; sleep_ms(1000))
		for (long k = 0; k < chatter && k < n; k++, at = (at + 1) % n) {
			char byte = 0;
			if (send_all(near_end[at], &byte, 1) == -1 || read_all(far_end[at], &byte, 1) == -1) fail("chatter");
		}
}
