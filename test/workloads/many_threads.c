// n=N threads asleep in a mix of waits: condition, mutex, pipe, sleep, semaphore, poll.
#include "common.h"
#include <poll.h>
#include <semaphore.h>

static pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER, own = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static sem_t sem;
static int pipe_ends[2];
static long started;

static void *run(void *arg)
{
	long i = (long)arg;
	char byte;
	__atomic_add_fetch(&started, 1, __ATOMIC_RELAXED);
	switch (i % 6) {
	case 0:
		pthread_mutex_lock(&own);
		for (;;) pthread_cond_wait(&cond, &own);
	case 1:
		pthread_mutex_lock(&held);
		break;
	case 2:
		if (read(pipe_ends[0], &byte, 1) < 0) fail("read");
		break;
	case 3:
		sem_wait(&sem);
		break;
	case 4: {
		struct pollfd set = {.fd = pipe_ends[0], .events = POLLIN};
		poll(&set, 1, -1);
		break;
	}
	default:
		break;
	}
	return sleeper(NULL);
}

int main(int argc, char **argv)
{
	die_with_parent();
	long n = arg_num(argc, argv, "n", 1000);
	sem_init(&sem, 0, 0);
	MUST(pipe2(pipe_ends, O_CLOEXEC));
	pthread_mutex_lock(&held);
	for (long i = 0; i < n; i++) start_thread(run, (void *)i);
	while (__atomic_load_n(&started, __ATOMIC_RELAXED) < n) sleep_ms(1);
	ready(getpid(), getpid(), "kind=all n=%ld", n);
	for (;;) pause();
}
