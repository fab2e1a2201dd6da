// mode=threads: two threads that took two mutexes in opposite order; main joins the first.
// mode=pipes:   two processes that each read from the other before they write.
// mode=self:    one thread that locks a mutex it holds already.
#include "common.h"

static pthread_mutex_t locks[2] = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER};
static pthread_barrier_t both;
static volatile pid_t tids[2];

static void *abba(void *arg)
{
	long me = (long)arg;
	pthread_mutex_lock(&locks[me]);
	tids[me] = self_tid();
	pthread_barrier_wait(&both);
	pthread_mutex_lock(&locks[1 - me]);
	return NULL;
}

static void *relock(void *unused)
{
	tids[0] = self_tid();
	pthread_mutex_lock(&locks[0]);
	pthread_mutex_lock(&locks[0]);
	return unused;
}

static void run_threads(void)
{
	pthread_barrier_init(&both, NULL, 2);
	pthread_t first = start_thread(abba, (void *)0L);
	start_thread(abba, (void *)1L);
	for (int i = 0; i < 2; i++) {
		while (tids[i] == 0) sleep_ms(1);
		await_state(getpid(), tids[i], 'S');
	}
	for (int i = 0; i < 2; i++) ready(getpid(), tids[i], "kind=abba owner=%d", tids[1 - i]);
	ready(getpid(), getpid(), "kind=all joins=%d", tids[0]);
	pthread_join(first, NULL);
}

static void run_self(void)
{
	pthread_t only = start_thread(relock, NULL);
	while (tids[0] == 0) sleep_ms(1);
	await_state(getpid(), tids[0], 'S');
	ready(getpid(), tids[0], "kind=self owner=%d", tids[0]);
	ready(getpid(), getpid(), "kind=all joins=%d", tids[0]);
	pthread_join(only, NULL);
}

static void run_pipes(void)
{
	int down[2], up[2]; // down: parent to child
	MUST(pipe2(down, O_CLOEXEC));
	MUST(pipe2(up, O_CLOEXEC));
	pid_t child = fork_child();
	char byte = 0;
	int in = child == 0 ? down[0] : up[0], out = child == 0 ? up[1] : down[1];
	close(child == 0 ? down[1] : up[1]);
	close(child == 0 ? up[0] : down[0]);
	if (child != 0) {
		await_state(child, child, 'S');
		ready(child, child, "kind=pipe-read pipe=%lu peer=%d", inode_of(out), getpid());
		ready(getpid(), getpid(), "kind=all pipe=%lu peer=%d", inode_of(in), child);
	}
	if (read(in, &byte, 1) == 1 && write(out, &byte, 1) == 1) errno = 0;
	fail("came back");
}

int main(int argc, char **argv)
{
	die_with_parent();
	const char *mode = arg_str(argc, argv, "mode", "threads");
	if (strcmp(mode, "threads") == 0) run_threads();
	else if (strcmp(mode, "self") == 0) run_self();
	else if (strcmp(mode, "pipes") == 0) run_pipes();
	errno = EINVAL;
	fail("mode=%s", mode);
}
