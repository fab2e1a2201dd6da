// host= port= conns=1 do=send|recv|pingpong|idle rate=BYTES/s (0: all that goes) size=BYTES a message.
// fork=1: the parent connects, a child uses the connection, the parent keeps it open and sleeps.
// Prints kind=conn for each connection from whoever uses it; kind=closed when the other side ended it.
#include "common.h"

static const char *action;
static long rate, size;

static void use(int fd)
{
	char *data = calloc(1, size);
	if (data == NULL) fail("calloc");
	ready_connection(fd, "conn");
	double start = now_s(), sent = 0;
	int status = 0;
	while (status == 0) {
		if (strcmp(action, "idle") == 0) {
			sleep_ms(3600000);
		} else if (strcmp(action, "recv") == 0) {
			status = read_all(fd, data, 1);
		} else if (rate > 0 && sent > (now_s() - start) * rate) {
			sleep_ms(10);
		} else {
			status = send_all(fd, data, size);
			if (status == 0 && strcmp(action, "pingpong") == 0) status = read_all(fd, data, size);
			sent += size;
		}
	}
	ready(getpid(), self_tid(), "kind=closed errno=%d", errno);
	close(fd);
}

static void *use_thread(void *arg)
{
	use((int)(long)arg);
	return NULL;
}

int main(int argc, char **argv)
{
	die_with_parent();
	const char *host = arg_str(argc, argv, "host", "127.0.0.1");
	long port = arg_num(argc, argv, "port", 0), conns = arg_num(argc, argv, "conns", 1);
	action = arg_str(argc, argv, "do", "send");
	rate = arg_num(argc, argv, "rate", 0);
	size = arg_num(argc, argv, "size", rate > 0 && rate < 20 * 65536 ? (rate < 20 ? 1 : rate / 20) : 65536);
	if (arg_num(argc, argv, "fork", 0) != 0) {
		int fd = connect_to(host, port);
		if (fork_child() == 0) {
			use(fd);
			_exit(0);
		}
		ready_connection(fd, "created");
		for (;;) pause();
	}
	for (long i = 1; i < conns; i++) start_thread(use_thread, (void *)(long)connect_to(host, port));
	use(connect_to(host, port));
	if (conns > 1)
		for (;;) pause();
	return 0;
}
