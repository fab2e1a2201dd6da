// A process (this one) that waits for a child, in the way that `via` says; the child does what `child` says.
//   via=pipe-read|pipe-write|unix|flock|child|vfork|lock|join|poll
//   child=idle (pause), stopped (SIGSTOP), traced (held by this process's ptrace)
// via=lock: main wants a mutex whose owner, a thread, waits for the child over a pipe.
// via=join: main joins that thread.
// via=poll: main polls the pipes of two children; the second one is always idle.
#include "common.h"
#include <poll.h>
#include <sys/file.h>
#include <sys/ptrace.h>

static const char *via, *child_does;
static pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER;
static int end_of_thread;
static volatile pid_t thread_tid;

static int is(const char *a, const char *b) { return strcmp(a, b) == 0; }

__attribute__((noreturn)) static void be_child(void)
{
	if (is(child_does, "stopped")) raise(SIGSTOP);
	for (;;) pause();
}

static char child_state(void) { return is(child_does, "stopped") ? 'T' : is(child_does, "traced") ? 't' : 'S'; }

// The tracer is the parent, which every setting of Yama allows.
static pid_t trace(pid_t target)
{
	MUST(ptrace(PTRACE_SEIZE, target, NULL, NULL));
	MUST(ptrace(PTRACE_INTERRUPT, target, NULL, NULL));
	return getpid();
}

static void say(pid_t child, const char *object)
{
	pid_t tracer = is(child_does, "traced") ? trace(child) : 0;
	await_state(child, child, child_state());
	ready(getpid(), getpid(), "kind=all child=%d tracer=%d owner=%d object=%s", child, tracer, thread_tid, object);
}

static pid_t child_with(int fd)
{
	pid_t child = fork_child();
	if (child == 0) {
		close_all_but(fd);
		be_child();
	}
	return child;
}

static void drain(int fd)
{
	char byte;
	if (read(fd, &byte, 1) < 0) fail("read");
}

static void *thread_waits(void *unused)
{
	pthread_mutex_lock(&held);
	thread_tid = self_tid();
	drain(end_of_thread);
	return unused;
}

static void run_pipe(int write_side)
{
	static char block[65536];
	char object[64];
	int ends[2];
	MUST(pipe2(ends, O_CLOEXEC));
	int mine = ends[write_side], theirs = ends[1 - write_side];
	pid_t child = child_with(theirs);
	close(theirs);
	snprintf(object, sizeof object, "pipe:%lu", inode_of(mine));
	say(child, object);
	if (!write_side) drain(mine);
	for (;;)
		if (write(mine, block, sizeof block) < 0) fail("write");
}

static void run_unix(void)
{
	char object[64];
	int ends[2];
	MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends));
	pid_t child = child_with(ends[1]);
	close(ends[1]);
	snprintf(object, sizeof object, "unix:%lu", inode_of(ends[0]));
	say(child, object);
	drain(ends[0]);
}

static void run_flock(void)
{
	char path[] = "/tmp/xctl-chain-XXXXXX", object[64], byte;
	int mine = MUST(mkostemp(path, O_CLOEXEC)), theirs = MUST(open(path, O_RDWR | O_CLOEXEC)), sync[2];
	MUST(unlink(path));
	MUST(pipe2(sync, O_CLOEXEC));
	pid_t child = fork_child();
	if (child == 0) {
		MUST(flock(theirs, LOCK_EX));
		if (write(sync[1], "", 1) != 1) fail("sync");
		close_all_but(theirs);
		be_child();
	}
	if (read(sync[0], &byte, 1) != 1) fail("no lock");
	close(theirs);
	snprintf(object, sizeof object, "/%lu", inode_of(mine));
	say(child, object);
	flock(mine, LOCK_EX);
}

static void run_wait(void)
{
	pid_t child = child_with(-1);
	say(child, "child");
	waitpid(child, NULL, 0);
}

static void run_vfork(void)
{
	// Said by another process: this one sleeps uninterruptibly from vfork on.
	pid_t me = getpid(), teller = fork_child();
	if (teller == 0) {
		await_state(me, me, 'D');
		ready(me, me, "kind=all child=0 tracer=0 owner=0 object=vfork");
		for (;;) pause();
	}
	if (vfork() == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;) pause();
	}
}

static void run_thread(int join)
{
	int ends[2];
	MUST(pipe2(ends, O_CLOEXEC));
	pid_t child = child_with(ends[1]);
	close(ends[1]);
	end_of_thread = ends[0];
	pthread_t thread = start_thread(thread_waits, NULL);
	while (thread_tid == 0) sleep_ms(1);
	await_state(getpid(), thread_tid, 'S');
	char object[64];
	snprintf(object, sizeof object, "pipe:%lu", inode_of(ends[0]));
	say(child, object);
	if (join) pthread_join(thread, NULL);
	pthread_mutex_lock(&held);
}

static void run_poll(void)
{
	int a[2], b[2];
	MUST(pipe2(a, O_CLOEXEC));
	MUST(pipe2(b, O_CLOEXEC));
	pid_t child = child_with(a[1]);
	keeper(b[1]);
	close(a[1]);
	close(b[1]);
	char object[64];
	snprintf(object, sizeof object, "pipe:%lu", inode_of(a[0]));
	say(child, object);
	struct pollfd set[2] = {{.fd = a[0], .events = POLLIN}, {.fd = b[0], .events = POLLIN}};
	poll(set, 2, -1);
}

int main(int argc, char **argv)
{
	die_with_parent();
	via = arg_str(argc, argv, "via", "pipe-read");
	child_does = arg_str(argc, argv, "child", "idle");
	if (is(via, "pipe-read")) run_pipe(0);
	else if (is(via, "pipe-write")) run_pipe(1);
	else if (is(via, "unix")) run_unix();
	else if (is(via, "flock")) run_flock();
	else if (is(via, "child")) run_wait();
	else if (is(via, "vfork")) run_vfork();
	else if (is(via, "lock")) run_thread(0);
	else if (is(via, "join")) run_thread(1);
	else if (is(via, "poll")) run_poll();
	errno = EINVAL;
	fail("via=%s", via);
}
