// A chain of waits that works until something in it does not. The top (this process) waits for a token from below again
// and again; each word of `via` is one link downwards, and the leaf makes the tokens.
//   via=pipe,unix,lock,cond   pipe and unix lead to a child of its own; lock and cond to a thread that holds or signals it
//   leaf=idle|tcp|file        sleeps by the clock; asks an echo server at host= port=; reads path= past the page cache
//   inherit=1                 a child keeps the ends of the links above it open, as forked workers do that close nothing
//   burn_us=N                 uses the CPU that long before each token
//   turn=idle|spin|exit|abort|self   what the leaf does from SIGUSR1 on: sleeps for ever, burns, ends with code 3, aborts, locks a
//                             mutex that it holds
//   serve=1                   the top gives its tokens to one TCP client, a token for each request; prints kind=listen port=
//   pace_ms=N                 between two tokens (5)
// Prints kind=hop for each link from whoever waits there (with object=), kind=leaf, kind=conn for TCP, kind=all after the
// first token and kind=step after each hundredth.
#include "common.h"

enum { MESSAGE = 64, LEVELS = 8 };

struct source {
	enum { FROM_FD, FROM_LOCK, FROM_COND, FROM_LEAF } kind;
	int fd;
	pthread_mutex_t lock;
	pthread_cond_t cond;
	long tokens, taken;
	struct source *below;
	volatile pid_t tid;
};

static const char *leaf, *turn, *path, *host;
static long pace_ms, port, burn_us, inherits;
// The end that this process itself writes to.
static int above = -1;
static int connection = -1, file = -1;
static off_t file_size;
static char *block;
static volatile sig_atomic_t turned;

static int is(const char *a, const char *b) { return strcmp(a, b) == 0; }

static void on_turn(int signal)
{
	(void)signal;
	turned = 1;
}

static void burn(double seconds)
{
	for (double until = now_s() + seconds; now_s() < until;)
		;
}

static void turn_bad(void)
{
	static pthread_mutex_t own = PTHREAD_MUTEX_INITIALIZER;
	if (is(turn, "exit")) _exit(3);
	if (is(turn, "abort")) abort();
	if (is(turn, "spin"))
		for (;;) burn(1);
	if (is(turn, "self")) {
		pthread_mutex_lock(&own);
		pthread_mutex_lock(&own);
	}
	for (;;) pause();
}

static void open_leaf(void)
{
	signal(SIGUSR1, on_turn);
	prctl(PR_SET_NAME, "leaf");
	if (is(leaf, "tcp")) {
		connection = connect_to(host, port);
		ready_connection(connection, "conn");
	}
	if (is(leaf, "file")) {
		file = MUST(open(path, O_RDONLY | O_DIRECT | O_CLOEXEC));
		file_size = MUST(lseek(file, 0, SEEK_END));
		if (posix_memalign((void **)&block, 4096, 4096) != 0) fail("posix_memalign");
	}
	ready(getpid(), self_tid(), "kind=leaf does=%s", leaf);
}

static void make_token(void)
{
	char message[MESSAGE] = {0};
	if (turned) turn_bad();
	if (burn_us > 0) burn(burn_us / 1e6);
	if (connection != -1 && (send_all(connection, message, MESSAGE) == -1 || read_all(connection, message, MESSAGE) == -1))
		fail("echo");
	if (file != -1 && pread(file, block, 4096, random() % (file_size / 4096) * 4096) < 0) fail("read");
	// A signal ends the sleep: the turn comes at once.
	struct timespec pause_for = {.tv_sec = pace_ms / 1000, .tv_nsec = pace_ms % 1000 * 1000000};
	nanosleep(&pause_for, NULL);
	if (turned) turn_bad();
}

static void next(struct source *from)
{
	char byte;
	switch (from->kind) {
	case FROM_FD:
		if (read(from->fd, &byte, 1) != 1) fail("the link below ended");
		return;
	case FROM_LOCK:
		pthread_mutex_lock(&from->lock);
		pthread_mutex_unlock(&from->lock);
		sleep_ms(pace_ms > 0 ? pace_ms : 1);
		return;
	case FROM_COND:
		pthread_mutex_lock(&from->lock);
		while (from->tokens == from->taken) pthread_cond_wait(&from->cond, &from->lock);
		from->taken = from->tokens;
		pthread_mutex_unlock(&from->lock);
		return;
	case FROM_LEAF:
		make_token();
		return;
	}
}

static void *hold(void *arg)
{
	struct source *mine = arg;
	prctl(PR_SET_NAME, mine->kind == FROM_LOCK ? "holder" : "signaller");
	mine->tid = self_tid();
	for (;;) {
		if (mine->kind == FROM_LOCK) pthread_mutex_lock(&mine->lock);
		next(mine->below);
		if (mine->kind == FROM_LOCK) {
			pthread_mutex_unlock(&mine->lock);
			sleep_ms(2);
			continue;
		}
		pthread_mutex_lock(&mine->lock);
		mine->tokens++;
		pthread_cond_signal(&mine->cond);
		pthread_mutex_unlock(&mine->lock);
	}
	return arg;
}

static struct source *below(char *via, int level);

static struct source *child_link(int is_unix, char *rest, int level)
{
	struct source *made = calloc(1, sizeof *made);
	int ends[2];
	if (is_unix) MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends));
	else MUST(pipe2(ends, O_CLOEXEC));
	pid_t child = fork_child();
	if (child == 0) {
		char name[32];
		close(ends[0]);
		if (above != -1 && !inherits) close(above);
		above = ends[1];
		snprintf(name, sizeof name, "relay-%d", level);
		prctl(PR_SET_NAME, name);
		struct source *source = below(rest, level + 1);
		for (;;) {
			next(source);
			if (write(ends[1], "t", 1) != 1) _exit(0);
		}
	}
	close(ends[1]);
	made->kind = FROM_FD;
	made->fd = ends[0];
	ready(getpid(), self_tid(), "kind=hop level=%d child=%d object=%s:%lu", level, child, is_unix ? "unix" : "pipe",
	      inode_of(ends[0]));
	return made;
}

static struct source *thread_link(int is_lock, char *rest, int level)
{
	struct source *made = calloc(1, sizeof *made);
	made->kind = is_lock ? FROM_LOCK : FROM_COND;
	pthread_mutex_init(&made->lock, NULL);
	pthread_cond_init(&made->cond, NULL);
	made->below = below(rest, level + 1);
	start_thread(hold, made);
	while (made->tid == 0) sleep_ms(1);
	ready(getpid(), made->tid, "kind=hop level=%d child=0 object=%s", level, is_lock ? "lock" : "cond");
	return made;
}

static struct source *below(char *via, int level)
{
	if (*via == '\0') {
		struct source *made = calloc(1, sizeof *made);
		made->kind = FROM_LEAF;
		open_leaf();
		return made;
	}
	if (level >= LEVELS) fail("via has more than %d links", LEVELS);
	char *comma = strchr(via, ','), *rest = comma == NULL ? via + strlen(via) : comma + 1;
	if (comma != NULL) *comma = '\0';
	if (is(via, "pipe") || is(via, "unix")) return child_link(is(via, "unix"), rest, level);
	if (is(via, "lock") || is(via, "cond")) return thread_link(is(via, "lock"), rest, level);
	errno = EINVAL;
	fail("via=%s", via);
}

int main(int argc, char **argv)
{
	die_with_parent();
	char via[128];
	snprintf(via, sizeof via, "%s", arg_str(argc, argv, "via", ""));
	leaf = arg_str(argc, argv, "leaf", "idle");
	turn = arg_str(argc, argv, "turn", "idle");
	path = arg_str(argc, argv, "path", "");
	host = arg_str(argc, argv, "host", "127.0.0.1");
	port = arg_num(argc, argv, "port", 0);
	pace_ms = arg_num(argc, argv, "pace_ms", 5);
	inherits = arg_num(argc, argv, "inherit", 0);
	burn_us = arg_num(argc, argv, "burn_us", 0);
	int client = -1, listener = -1;
	if (arg_num(argc, argv, "serve", 0) != 0) listener = listen_at(host, port, 8);
	struct source *source = below(via, 1);
	if (listener != -1) {
		ready(getpid(), getpid(), "kind=listen port=%d", listen_port(listener));
		client = MUST(accept4(listener, NULL, NULL, SOCK_CLOEXEC));
		ready_connection(client, "served");
	}
	for (long steps = 1;; steps++) {
		char message[MESSAGE];
		if (client != -1 && read_all(client, message, MESSAGE) == -1) _exit(0);
		next(source);
		if (client != -1 && send_all(client, message, MESSAGE) == -1) _exit(0);
		if (steps == 1) ready(getpid(), getpid(), "kind=all");
		if (steps % 100 == 0) ready(getpid(), getpid(), "kind=step step=%ld", steps);
	}
}
