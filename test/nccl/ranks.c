/*
 * Ranks of a job, one process each, over the doubles of libnccl and libcuda. What each does is told in words:
 *
 *   ranks nccl=PATH cuda=PATH n=2 do=init,allreduce:5,sync do1=init,allreduce:4,read
 *
 * Of rank 1 only: do1=, and nccl1= for a library of its own.
 *
 *   load                          maps the libraries; without it, before the first word
 *   init initconfig initscalable  joins the communicator of the job      initall:N  N ranks in one process
 *   bad                           an init that fails
 *   split:COLOR split:COLOR/KEY   makes one of the last; without KEY in the order of the job's ranks; waits for all
 *   splitlate:COLOR/KEY           so, without waiting in the call        badsplit  one that fails
 *   shrink:RANK shrink:RANK/RANK  makes one of the last without these    pop  goes back to the one before
 *   userrank count                asks which rank of the last this is, and of how many
 *   allreduce:K reducescatter:K allgather:K broadcast:K reduce:K send:K recv:K
 *   finalize destroy abort
 *   sync eventsync ctxsync        waits for the GPU, until SIGUSR2
 *   read                          from a pipe that nobody writes to      wait  until SIGUSR1
 *   fork:WORD                     a child does WORD (and waits), the parent goes on
 *   exit:CODE   loop:MS           all-reduce every MS for ever
 *
 * `ready pid= tid= kind=WORD rank= comm= as= of=` is printed before each word that waits and after each other; `as` and
 * `of` are rank and size in that communicator, -1 for none.
 */
#include "common.h"
#include <dlfcn.h>
#include <sys/mman.h>

typedef struct { char internal[128]; } ncclUniqueId;
typedef void *ncclComm_t;
typedef struct { size_t size; unsigned magic, version; int blocking; } ncclConfig_t;

#define MAX_COMMS 16
static ncclComm_t comms[MAX_COMMS];
static int top = -1, rank, nranks;
static ncclUniqueId id;
static void *nccl, *cuda;
static volatile int busy, go;
static const char *nccl_path, *cuda_path;

static void *function(void *library, const char *name)
{
	void *found = library == NULL ? NULL : dlsym(library, name);
	if (found == NULL) {
		errno = ENOENT;
		fail("%s", name);
	}
	return found;
}

static void load(void)
{
	if (nccl_path[0] && !nccl && !(nccl = dlopen(nccl_path, RTLD_NOW | RTLD_LOCAL))) fail("%s", dlerror());
	if (cuda_path[0] && !cuda && !(cuda = dlopen(cuda_path, RTLD_NOW | RTLD_LOCAL))) fail("%s", dlerror());
}

static void on_signal(int signal)
{
	if (signal == SIGUSR1) {
		go = 1;
		return;
	}
	busy = 0;
	if (cuda) *(volatile int *)function(cuda, "fake_cuda_busy") = 0;
}

static void say(const char *kind)
{
	ncclComm_t comm = top < 0 ? NULL : comms[top];
	int as = -1, of = -1;
	if (nccl) ((void (*)(ncclComm_t, int *, int *))function(nccl, "fake_nccl_place"))(comm, &as, &of);
	printf("ready pid=%d tid=%d kind=%s rank=%d comm=%p as=%d of=%d\n", getpid(), self_tid(), kind, rank, comm, as,
	       of);
	fflush(stdout);
}

static void wait_for_go(void)
{
	sigset_t none, usr1;
	sigemptyset(&none);
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	sigprocmask(SIG_BLOCK, &usr1, NULL);
	while (!go) sigsuspend(&none);
	go = 0;
	sigprocmask(SIG_UNBLOCK, &usr1, NULL);
}

#define IS(name) (strcmp(word, name) == 0)
#define TIMES(call) for (long k = 0; k < n; k++) call

static void enqueue(const char *word, long n)
{
	typedef int (*six)(const void *, void *, size_t, int, int, ncclComm_t, void *);
	typedef int (*seven)(const void *, void *, size_t, int, int, int, ncclComm_t, void *);
	typedef int (*five)(const void *, void *, size_t, int, ncclComm_t, void *);
	typedef int (*p2p)(void *, size_t, int, int, ncclComm_t, void *);
	ncclComm_t comm = comms[top];
	if (IS("allreduce")) TIMES(((six)function(nccl, "ncclAllReduce"))(NULL, NULL, 1, 7, 0, comm, NULL));
	else if (IS("reducescatter")) TIMES(((six)function(nccl, "ncclReduceScatter"))(NULL, NULL, 1, 7, 0, comm, NULL));
	else if (IS("broadcast")) TIMES(((six)function(nccl, "ncclBroadcast"))(NULL, NULL, 1, 7, 0, comm, NULL));
	else if (IS("reduce")) TIMES(((seven)function(nccl, "ncclReduce"))(NULL, NULL, 1, 7, 0, 0, comm, NULL));
	else if (IS("allgather")) TIMES(((five)function(nccl, "ncclAllGather"))(NULL, NULL, 1, 7, comm, NULL));
	else if (IS("send")) TIMES(((p2p)function(nccl, "ncclSend"))(NULL, 1, 7, 0, comm, NULL));
	else if (IS("recv")) TIMES(((p2p)function(nccl, "ncclRecv"))(NULL, 1, 7, 0, comm, NULL));
	else {
		errno = EINVAL;
		fail("no word %s", word);
	}
}

static void must(int result)
{
	if (result == 0 || result == 7) return;
	errno = EINVAL;
	fail("nccl result %d", result);
}

static int init(const char *word)
{
	typedef int (*init_rank)(ncclComm_t *, int, ncclUniqueId, int);
	typedef int (*init_config)(ncclComm_t *, int, ncclUniqueId, int, ncclConfig_t *);
	typedef int (*init_scalable)(ncclComm_t *, int, int, int, ncclUniqueId *, ncclConfig_t *);
	ncclConfig_t config = { .size = sizeof(config), .blocking = 0 };
	if (IS("initconfig"))
		return ((init_config)function(nccl, "ncclCommInitRankConfig"))(&comms[++top], nranks, id, rank, &config);
	if (IS("initscalable"))
		return ((init_scalable)function(nccl, "ncclCommInitRankScalable"))(&comms[++top], nranks, rank, 1, &id,
										   NULL);
	return ((init_rank)function(nccl, "ncclCommInitRank"))(&comms[++top], nranks, id, rank);
}

static int split(int color, int key, ncclConfig_t *config)
{
	typedef int (*split_call)(ncclComm_t, int, int, ncclComm_t *, ncclConfig_t *);
	ncclComm_t parent = comms[top];
	return ((split_call)function(nccl, "ncclCommSplit"))(parent, color, key, &comms[++top], config);
}

static void split_late(int color, int key)
{
	typedef int (*async_error)(ncclComm_t, int *);
	ncclConfig_t config = { .size = sizeof(config), .blocking = 0 };
	ncclComm_t parent = comms[top];
	int result = split(color, key, &config);
	while (result == 7) {
		usleep(500);
		must(((async_error)function(nccl, "ncclCommGetAsyncError"))(parent, &result));
	}
	must(result);
}

static void shrink(char *ranks)
{
	typedef int (*shrink_call)(ncclComm_t, int *, int, ncclComm_t *, ncclConfig_t *, int);
	ncclComm_t parent = comms[top];
	int excluded[16], count = 0;
	for (char *one; count < 16 && (one = strsep(&ranks, "/")) != NULL;) excluded[count++] = atoi(one);
	must(((shrink_call)function(nccl, "ncclCommShrink"))(parent, excluded, count, &comms[++top], NULL, 0));
}

static void ask(const char *function_name, int expected)
{
	int answer = -1;
	must(((int (*)(ncclComm_t, int *))function(nccl, function_name))(comms[top], &answer));
	if (answer != expected) fail("%s said %d, not %d", function_name, answer, expected);
}

static void perform(char *word)
{
	char *colon = strchr(word, ':'), *slash;
	long n = 0, m = rank;
	if (colon) {
		*colon++ = '\0';
		n = strtol(colon, &slash, 10);
		if (*slash == '/') m = strtol(slash + 1, NULL, 10);
	}
	if (!IS("load") && !IS("wait")) load();
	if (IS("load")) load();
	else if (IS("init") || IS("initconfig") || IS("initscalable")) must(init(word));
	else if (IS("bad")) {
		typedef int (*init_rank)(ncclComm_t *, int, ncclUniqueId, int);
		ncclComm_t none = NULL;
		if (((init_rank)function(nccl, "ncclCommInitRank"))(&none, nranks, id, nranks + 1) == 0) fail("init did not fail");
	} else if (IS("initall")) {
		must(((int (*)(ncclComm_t *, int, const int *))function(nccl, "ncclCommInitAll"))(comms, (int)n, NULL));
		top = (int)n - 1;
	} else if (IS("split")) must(split((int)n, (int)m, NULL));
	else if (IS("splitlate")) split_late((int)n, (int)m);
	else if (IS("badsplit")) {
		typedef int (*split_call)(ncclComm_t, int, int, ncclComm_t *, ncclConfig_t *);
		if (((split_call)function(nccl, "ncclCommSplit"))(comms[top], 0, 0, NULL, NULL) == 0) fail("split did not fail");
	} else if (IS("shrink")) shrink(colon);
	else if (IS("userrank") || IS("count")) {
		int as, of;
		((void (*)(ncclComm_t, int *, int *))function(nccl, "fake_nccl_place"))(comms[top], &as, &of);
		ask(IS("count") ? "ncclCommCount" : "ncclCommUserRank", IS("count") ? of : as);
	} else if (IS("pop")) top--;
	else if (IS("finalize")) must(((int (*)(ncclComm_t))function(nccl, "ncclCommFinalize"))(comms[top]));
	else if (IS("destroy")) must(((int (*)(ncclComm_t))function(nccl, "ncclCommDestroy"))(comms[top--]));
	else if (IS("abort")) must(((int (*)(ncclComm_t))function(nccl, "ncclCommAbort"))(comms[top--]));
	else if (IS("sync") || IS("eventsync") || IS("ctxsync")) {
		busy = 1;
		*(volatile int *)function(cuda, "fake_cuda_busy") = 1;
		say(word);
		if (IS("sync")) ((int (*)(void *))function(cuda, "cuStreamSynchronize"))((void *)&busy);
		else if (IS("eventsync")) ((int (*)(void *))function(cuda, "cuEventSynchronize"))((void *)&busy);
		else ((int (*)(void))function(cuda, "cuCtxSynchronize"))();
		say("synced");
		return;
	} else if (IS("syncs")) {
		int (*sync)(void *) = (int (*)(void *))function(cuda, "cuStreamSynchronize");
		busy = 0;
		TIMES(sync((void *)&busy));
	} else if (IS("read")) {
		int ends[2];
		char byte;
		MUST(pipe(ends));
		say(word);
		while (read(ends[0], &byte, 1) < 0 && errno == EINTR) {}
		return;
	} else if (IS("wait")) {
		say(word);
		wait_for_go();
		return;
	} else if (IS("fork")) {
		if (fork_child() == 0) {
			char rest[64];
			snprintf(rest, sizeof(rest), "%s", colon ? colon : "wait");
			perform(rest);
			char last[] = "wait";
			perform(last);
			_exit(0);
		}
	} else if (IS("loop")) {
		char one[] = "allreduce";
		say(word);
		for (;;) {
			enqueue(one, 1);
			usleep((useconds_t)n * 1000);
		}
	} else if (IS("exit")) _exit((int)n);
	else enqueue(word, n > 0 ? n : 1);
	say(word);
}

int main(int argc, char **argv)
{
	die_with_parent();
	setvbuf(stdout, NULL, _IOLBF, 0);
	nccl_path = arg_str(argc, argv, "nccl", "");
	cuda_path = arg_str(argc, argv, "cuda", "");
	nranks = (int)arg_num(argc, argv, "n", 1);
	// Of the job: the same for all ranks, another in each run. The last byte stays 0.
	FILE *random = fopen("/dev/urandom", "r");
	if (random == NULL || fread(id.internal, 1, 64, random) != 64) fail("random");
	fclose(random);
	// What the ranks' libraries meet in, in place of a network.
	char net[16];
	snprintf(net, sizeof(net), "%d", MUST(memfd_create("fake-nccl-net", 0)));
	MUST(setenv("FAKE_NCCL_NET", net, 1));
	signal(SIGUSR1, on_signal);
	signal(SIGUSR2, on_signal);
	for (rank = 0; rank < nranks; rank++) {
		char key[16], name[16], words[512];
		snprintf(key, sizeof(key), "do%d", rank);
		snprintf(words, sizeof(words), "%s", arg_str(argc, argv, key, arg_str(argc, argv, "do", "wait")));
		if (fork_child() != 0) continue;
		snprintf(key, sizeof(key), "nccl%d", rank);
		nccl_path = arg_str(argc, argv, key, nccl_path);
		snprintf(name, sizeof(name), "rank%d", rank);
		prctl(PR_SET_NAME, name);
		char *rest = words;
		for (char *word; (word = strsep(&rest, ",")) != NULL;) perform(word);
		char last[] = "wait";
		for (;;) perform(last);
	}
	printf("ready pid=%d tid=%d kind=all\n", getpid(), self_tid());
	while (wait(NULL) > 0 || errno == EINTR) {}
	return 0;
}
