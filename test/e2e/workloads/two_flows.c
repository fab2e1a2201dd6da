// host= port= port2=: waits on the first connection (ping-pong with an echo server), and writes to the second one
// without ever waiting for it. Prints kind=first, kind=second and kind=all.
#include "common.h"

static int second;

static void *write_only(void *unused)
{
	char data[512] = {0};
	prctl(PR_SET_NAME, "write-only");
	for (;; sleep_ms(50))
		if (send(second, data, sizeof data, MSG_DONTWAIT | MSG_NOSIGNAL) == -1 && errno != EAGAIN) fail("send");
	return unused;
}

int main(int argc, char **argv)
{
	die_with_parent();
	const char *host = arg_str(argc, argv, "host", "127.0.0.1");
	int first = connect_to(host, arg_num(argc, argv, "port", 0));
	second = connect_to(host, arg_num(argc, argv, "port2", 0));
	ready_connection(first, "first");
	ready_connection(second, "second");
	start_thread(write_only, NULL);
	for (long i = 0;; i++) {
		char data[512] = {0};
		if (send_all(first, data, sizeof data) == -1 || read_all(first, data, sizeof data) == -1) fail("first");
		if (i == 0) ready(getpid(), getpid(), "kind=all");
		sleep_ms(2);
	}
}
