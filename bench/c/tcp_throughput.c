// Loopback TCP, 64 KiB writes: counts bytes as the receiver gets them. Both ends share a CPU: the figure is then what
// a byte costs in CPU time, with no idle core to hide more of it.
#include "common.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

int main(int argc, char **argv)
{
	volatile uint64_t *count = counter(argc, argv);
	static char block[65536];
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof a;
	int listener = MUST(socket(AF_INET, SOCK_STREAM, 0));
	MUST(bind(listener, (struct sockaddr *)&a, sizeof a));
	MUST(listen(listener, 1));
	MUST(getsockname(listener, (struct sockaddr *)&a, &length));
	pin(1);
	if (MUST(fork()) == 0) {
		MUST(prctl(PR_SET_PDEATHSIG, SIGKILL));
		int fd = MUST(socket(AF_INET, SOCK_STREAM, 0));
		MUST(connect(fd, (struct sockaddr *)&a, sizeof a));
		while (send(fd, block, sizeof block, MSG_NOSIGNAL) > 0)
			;
		_exit(0);
	}
	int fd = MUST(accept(listener, NULL, NULL));
	for (;;) *count += MUST(recv(fd, block, sizeof block, 0));
}
