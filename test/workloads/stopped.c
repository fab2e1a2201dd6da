// A process that reads from a pipe whose writer, its child, is stopped (SIGSTOP).
// mode=self: the process stops itself, nobody waits for it.
#include "common.h"

int main(int argc, char **argv)
{
	die_with_parent();
	if (strcmp(arg_str(argc, argv, "mode", "child"), "self") == 0) {
		ready(getpid(), getpid(), "kind=all stopped=%d", getpid());
		raise(SIGSTOP);
		for (;;) pause();
	}
	int ends[2];
	MUST(pipe2(ends, O_CLOEXEC));
	pid_t child = fork_child();
	if (child == 0) {
		close(ends[0]);
		raise(SIGSTOP);
		if (write(ends[1], "x", 1) != 1) fail("write");
		for (;;) pause();
	}
	close(ends[1]);
	await_state(child, child, 'T');
	ready(child, child, "kind=stopped pipe=%lu", inode_of(ends[0]));
	ready(getpid(), getpid(), "kind=all pipe=%lu peer=%d", inode_of(ends[0]), child);
	char byte;
	if (read(ends[0], &byte, 1) < 0) fail("read");
	ready(getpid(), getpid(), "kind=resumed peer=%d", child);
	for (;;) pause();
}
