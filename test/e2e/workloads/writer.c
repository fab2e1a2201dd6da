// Writes and syncs a few bytes of path= again and again; say kind=all after the first time.
#include "common.h"

int main(int argc, char **argv)
{
	die_with_parent();
	int fd = MUST(open(arg_str(argc, argv, "path", "/tmp/x"), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
	for (long i = 0;; i++) {
		if (pwrite(fd, &i, sizeof i, 0) < 0) fail("write");
		MUST(fsync(fd));
		if (i == 0) ready(getpid(), getpid(), "kind=all inode=%lu", inode_of(fd));
		sleep_ms(5);
	}
}
