// Shared by the workloads: arguments as key=value, truth as `ready key=value …` lines, and a short life.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static inline pid_t self_tid(void) { return (pid_t)syscall(SYS_gettid); }

__attribute__((format(printf, 1, 2), noreturn)) static inline void fail(const char *fmt, ...)
{
	int saved = errno;
	va_list ap;
	va_start(ap, fmt);
	fprintf(stderr, "fail pid=%d: ", getpid());
	vfprintf(stderr, fmt, ap);
	fprintf(stderr, ": %s\n", strerror(saved));
	va_end(ap);
	_exit(99);
}

#define MUST(call) \
	({ \
		__typeof__(call) must_result = (call); \
		if (must_result == (__typeof__(call))-1) fail("%s:%d %s", __FILE__, __LINE__, #call); \
		must_result; \
	})

// A workload never outlives whoever started it, however that one ended. Children call it too.
static inline void die_with_parent(void)
{
	pid_t parent = getppid();
	MUST(prctl(PR_SET_PDEATHSIG, SIGKILL));
	if (getppid() != parent) _exit(98);
}

static inline pid_t fork_child(void)
{
	fflush(stdout);
	pid_t parent = getpid(), pid = MUST(fork());
	if (pid == 0) {
		MUST(prctl(PR_SET_PDEATHSIG, SIGKILL));
		if (getppid() != parent) _exit(98);
	}
	return pid;
}

static inline const char *arg_str(int argc, char **argv, const char *key, const char *otherwise)
{
	size_t length = strlen(key);
	for (int i = 1; i < argc; i++)
		if (strncmp(argv[i], key, length) == 0 && argv[i][length] == '=') return argv[i] + length + 1;
	return otherwise;
}

static inline long arg_num(int argc, char **argv, const char *key, long otherwise)
{
	const char *text = arg_str(argc, argv, key, NULL);
	if (text == NULL) return otherwise;
	char *end;
	long value = strtol(text, &end, 10);
	if (*text == '\0' || *end != '\0') {
		errno = EINVAL;
		fail("%s=%s", key, text);
	}
	return value;
}

// One line, one write: lines of several processes on one pipe must not mix.
__attribute__((format(printf, 3, 4))) static inline void ready(pid_t pid, pid_t tid, const char *fmt, ...)
{
	char line[512];
	int n = snprintf(line, sizeof line, "ready pid=%d tid=%d ", pid, tid);
	va_list ap;
	va_start(ap, fmt);
	n += vsnprintf(line + n, sizeof line - n - 1, fmt, ap);
	va_end(ap);
	if (n > (int)sizeof line - 2) n = sizeof line - 2;
	line[n++] = '\n';
	// The reader may be gone; that is no reason to end before the signal that comes with it.
	if (write(STDOUT_FILENO, line, n) < 0) return;
}

static inline void sleep_ms(long ms)
{
	struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
	while (nanosleep(&left, &left) == -1 && errno == EINTR)
		;
}

static inline double now_s(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static inline char task_state(pid_t pid, pid_t tid)
{
	char path[64], text[512];
	snprintf(path, sizeof path, "/proc/%d/task/%d/stat", pid, tid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd == -1) return '?';
	ssize_t n = read(fd, text, sizeof text - 1);
	close(fd);
	if (n <= 0) return '?';
	text[n] = '\0';
	char *after = strrchr(text, ')');
	return after == NULL ? '?' : after[2];
}

// Returns once the task was seen in `state` three times running, so that `ready` is the truth.
static inline void await_state(pid_t pid, pid_t tid, char state)
{
	double deadline = now_s() + 20;
	for (int seen = 0; seen < 3;) {
		seen = task_state(pid, tid) == state ? seen + 1 : 0;
		if (now_s() > deadline) {
			errno = ETIMEDOUT;
			fail("task %d is not in state %c", tid, state);
		}
		sleep_ms(2);
	}
}

static inline unsigned long inode_of(int fd)
{
	struct stat st;
	MUST(fstat(fd, &st));
	return st.st_ino;
}

static inline void close_all_but(int keep)
{
	if (keep > 3) syscall(SYS_close_range, 3u, (unsigned)keep - 1, 0u);
	syscall(SYS_close_range, keep >= 3 ? (unsigned)keep + 1 : 3u, ~0u, 0u);
}

// A child that does nothing but hold `fd`.
static inline pid_t keeper(int fd)
{
	pid_t pid = fork_child();
	if (pid == 0) {
		close_all_but(fd);
		for (;;) pause();
	}
	return pid;
}

static inline void *sleeper(void *unused)
{
	for (;;) sleep_ms(3600000);
	return unused;
}

static inline pthread_t start_thread(void *(*run)(void *), void *arg)
{
	pthread_attr_t attr;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 64 * 1024);
	pthread_t thread;
	errno = pthread_create(&thread, &attr, run, arg);
	if (errno != 0) fail("pthread_create");
	pthread_attr_destroy(&attr);
	return thread;
}

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static inline socklen_t address_of(const char *host, long port, union address *out)
{
	memset(out, 0, sizeof *out);
	if (strchr(host, ':') != NULL) {
		out->v6.sin6_family = AF_INET6;
		out->v6.sin6_port = htons((uint16_t)port);
		if (inet_pton(AF_INET6, host, &out->v6.sin6_addr) != 1) fail("host=%s", host);
		return sizeof out->v6;
	}
	out->v4.sin_family = AF_INET;
	out->v4.sin_port = htons((uint16_t)port);
	if (inet_pton(AF_INET, host, &out->v4.sin_addr) != 1) fail("host=%s", host);
	return sizeof out->v4;
}

static inline int port_of(const union address *a)
{
	return ntohs(a->any.sa_family == AF_INET6 ? a->v6.sin6_port : a->v4.sin_port);
}

static inline const char *text_of(const union address *a, char *out, size_t size)
{
	char host[INET6_ADDRSTRLEN];
	if (a->any.sa_family == AF_INET6) {
		inet_ntop(AF_INET6, &a->v6.sin6_addr, host, sizeof host);
		snprintf(out, size, "[%s]:%d", host, port_of(a));
	} else {
		inet_ntop(AF_INET, &a->v4.sin_addr, host, sizeof host);
		snprintf(out, size, "%s:%d", host, port_of(a));
	}
	return out;
}

static inline int listen_at(const char *host, long port, int backlog)
{
	union address a;
	socklen_t length = address_of(host, port, &a);
	int fd = MUST(socket(a.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0)), on = 1;
	MUST(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on));
	MUST(bind(fd, &a.any, length));
	MUST(listen(fd, backlog));
	return fd;
}

static inline int listen_port(int fd)
{
	union address a;
	socklen_t length = sizeof a;
	MUST(getsockname(fd, &a.any, &length));
	return port_of(&a);
}

static inline int connect_to(const char *host, long port)
{
	union address a;
	socklen_t length = address_of(host, port, &a);
	int fd = MUST(socket(a.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
	MUST(connect(fd, &a.any, length));
	return fd;
}

static inline void ready_connection(int fd, const char *kind)
{
	union address a, b;
	socklen_t la = sizeof a, lb = sizeof b;
	char local[80], remote[80];
	MUST(getsockname(fd, &a.any, &la));
	if (getpeername(fd, &b.any, &lb) == -1) return;
	ready(getpid(), self_tid(), "kind=%s local=%s remote=%s fd=%d inode=%lu", kind, text_of(&a, local, sizeof local),
	      text_of(&b, remote, sizeof remote), fd, inode_of(fd));
}

// Both return -1 when the other side is gone.
static inline int send_all(int fd, const char *data, size_t size)
{
	for (size_t done = 0; done < size;) {
		ssize_t n = send(fd, data + done, size - done, MSG_NOSIGNAL);
		if (n == -1 && errno == EINTR) continue;
		if (n <= 0) return -1;
		done += n;
	}
	return 0;
}

static inline int read_all(int fd, char *data, size_t size)
{
	for (size_t done = 0; done < size;) {
		ssize_t n = read(fd, data + done, size - done);
		if (n == -1 && errno == EINTR) continue;
		if (n <= 0) return -1;
		done += n;
	}
	return 0;
}
