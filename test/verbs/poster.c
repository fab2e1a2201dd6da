/*
 * Posts to queue pairs that are none, over the double of a provider. What it does is told in words:
 *
 *   poster provider=PATH do=load,qp:291,wait,post:5,chain:3,qp:292
 *
 *   load               maps the provider; without it, before the first word
 *   qp:NUMBER          a queue pair of that number, at the place of the last
 *   post:K             K posts of one work request of one piece of 100 bytes
 *   chain:K            one post of K work requests      pieces:K  one post of one work request of K pieces
 *   wait               until SIGUSR1                    fork:WORD  a child does WORD (and waits), the parent goes on
 *   loop:US            posts for ever, every US microseconds
 *   measure            what one post takes: `ready … kind=measure ns=`
 *
 * `ready pid= tid= kind=WORD` is printed before each word that waits and after each other.
 */
#include "common.h"
#include "../verbs/abi.h"
#include <dlfcn.h>

#define MAX_LIST 64
#define ROUNDS 9
#define CALLS 5000

static struct fake_context *context;
static struct fake_qp qp;
static volatile int go;

static void on_signal(int signal)
{
	(void)signal;
	go = 1;
}

static void load(const char *path)
{
	if (context != NULL) return;
	void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (library == NULL) fail("%s", dlerror());
	struct fake_context *(*open)(const char *) = (struct fake_context *(*)(const char *))dlsym(library, "double_open");
	context = open("double0");
	qp.context = context;
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

static void post(long wrs, long pieces)
{
	struct fake_sge list[MAX_LIST];
	struct fake_wr all[MAX_LIST] = {0}, *bad;
	for (long i = 0; i < pieces; i++) list[i] = (struct fake_sge){.length = 100};
	for (long i = 0; i < wrs; i++)
		all[i] = (struct fake_wr){.next = i + 1 < wrs ? &all[i + 1] : NULL, .sg_list = list, .num_sge = pieces};
	qp.context->post_send(&qp, all, &bad);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static double measured(void)
{
	struct fake_sge piece = {.length = 100};
	struct fake_wr wr = {.sg_list = &piece, .num_sge = 1}, *bad;
	double ns[ROUNDS];
	for (int round = 0; round < ROUNDS; round++) {
		struct timespec from, to;
		clock_gettime(CLOCK_MONOTONIC, &from);
		for (int i = 0; i < CALLS; i++) qp.context->post_send(&qp, &wr, &bad);
		clock_gettime(CLOCK_MONOTONIC, &to);
		ns[round] = ((double)(to.tv_sec - from.tv_sec) * 1e9 + (double)(to.tv_nsec - from.tv_nsec)) / CALLS;
	}
	qsort(ns, ROUNDS, sizeof(ns[0]), by_value);
	return ns[ROUNDS / 2];
}

static void say(const char *kind)
{
	ready(getpid(), self_tid(), "kind=%s", kind);
}

#define IS(name) (strcmp(word, name) == 0)

static void run(char *word, const char *path)
{
	char *value = strchr(word, ':');
	if (value != NULL) *value++ = '\0';
	long n = value == NULL ? 0 : strtol(value, NULL, 10);
	if (!IS("wait")) load(path);
	if (IS("qp")) qp.qp_num = n;
	if (IS("post"))
		for (long i = 0; i < n; i++) post(1, 1);
	if (IS("chain")) post(n, 1);
	if (IS("pieces")) post(1, n);
	if (IS("measure")) {
		ready(getpid(), self_tid(), "kind=measure ns=%.1f", measured());
		return;
	}
	if (IS("fork") && fork_child() == 0) {
		run(value, path);
		for (;;) pause();
	}
	if (IS("wait") || IS("loop")) say(word);
	if (IS("wait")) wait_for_go();
	else if (IS("loop"))
		for (;;) {
			post(1, 1);
			if (n > 0) usleep(n);
		}
	else if (!IS("fork")) say(word);
}

int main(int argc, char **argv)
{
	die_with_parent();
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGUSR1, on_signal);
	const char *path = arg_str(argc, argv, "provider", "");
	char *words = strdup(arg_str(argc, argv, "do", "")), *rest = NULL;
	for (char *word = strtok_r(words, ",", &rest); word != NULL; word = strtok_r(NULL, ",", &rest)) run(word, path);
	say("all");
	for (;;) pause();
}
