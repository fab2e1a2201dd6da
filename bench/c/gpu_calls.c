/*
 * What one call of each function that probe `gpu-trace` looks at takes: at each SIGUSR1 all of them are measured, the
 * median of rounds. `call NAME NS` is printed for each, then `round`.
 */
#include "../../test/workloads/common.h"
#include <dlfcn.h>

#define ROUNDS 9
#define CALLS 5000

typedef struct { char internal[128]; } ncclUniqueId;
static void *nccl, *cuda, *comm;
static volatile int go;

static void on_signal(int signal)
{
	(void)signal;
	go = 1;
}

static void *function(void *library, const char *name)
{
	void *found = dlsym(library, name);
	if (found == NULL) fail("%s", name);
	return found;
}

static void all_reduce(void *f) { ((int (*)(void *, void *, size_t, int, int, void *, void *))f)(0, 0, 1, 7, 0, comm, 0); }
static void all_gather(void *f) { ((int (*)(void *, void *, size_t, int, void *, void *))f)(0, 0, 1, 7, comm, 0); }
static void reduce(void *f) { ((int (*)(void *, void *, size_t, int, int, int, void *, void *))f)(0, 0, 1, 7, 0, 0, comm, 0); }
static void send_one(void *f) { ((int (*)(void *, size_t, int, int, void *, void *))f)(0, 1, 7, 0, comm, 0); }
static void ask_rank(void *f)
{
	int rank;
	((int (*)(void *, int *))f)(comm, &rank);
}
static void sync_one(void *f) { ((int (*)(void *))f)(0); }
static void init_one(void *f)
{
	ncclUniqueId id = { { 1 } };
	void *made = NULL;
	if (((int (*)(void **, int, ncclUniqueId, int))f)(&made, 1, id, 0) == 0)
		((int (*)(void *))function(nccl, "ncclCommDestroy"))(made);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static void measure(const char *name, void *library, void (*call)(void *))
{
	void *f = function(library, name);
	double ns[ROUNDS];
	for (int round = 0; round < ROUNDS; round++) {
		struct timespec from, to;
		clock_gettime(CLOCK_MONOTONIC, &from);
		for (int i = 0; i < CALLS; i++) call(f);
		clock_gettime(CLOCK_MONOTONIC, &to);
		ns[round] = ((double)(to.tv_sec - from.tv_sec) * 1e9 + (double)(to.tv_nsec - from.tv_nsec)) / CALLS;
	}
	qsort(ns, ROUNDS, sizeof(ns[0]), by_value);
	printf("call %s %.1f\n", name, ns[ROUNDS / 2]);
}

int main(int argc, char **argv)
{
	die_with_parent();
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGUSR1, on_signal);
	if (!(nccl = dlopen(arg_str(argc, argv, "nccl", ""), RTLD_NOW))) fail("%s", dlerror());
	if (!(cuda = dlopen(arg_str(argc, argv, "cuda", ""), RTLD_NOW))) fail("%s", dlerror());
	int (*init)(void **, int, ncclUniqueId, int) = function(nccl, "ncclCommInitRank");
	ncclUniqueId id = { { 2 } };
	if (init(&comm, 1, id, 0) != 0) fail("init");
	printf("ready pid=%d tid=%d kind=all\n", getpid(), self_tid());
	for (;;) {
		while (!go) pause();
		go = 0;
		measure("ncclAllReduce", nccl, all_reduce);
		measure("ncclAllGather", nccl, all_gather);
		measure("ncclReduce", nccl, reduce);
		measure("ncclSend", nccl, send_one);
		measure("ncclCommUserRank", nccl, ask_rank);
		measure("cuStreamSynchronize", cuda, sync_one);
		measure("ncclCommInitRank", nccl, init_one);
		printf("round\n");
	}
}
