// One thread in each kind of wait. kinds=a,b,… picks some; all of them otherwise.
// Prints a line a thread once it is asleep there, and `kind=all count=N` at the end.
#include "common.h"
#include <poll.h>
#include <semaphore.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/select.h>
#include <sys/un.h>

static pthread_mutex_t plain = PTHREAD_MUTEX_INITIALIZER, pi, recursive, own = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static sem_t sem;
static pthread_t joined;
static volatile pid_t holder_tid, joined_tid;

struct place {
	const char *kind;
	void (*wait)(struct place *);
	void (*prepare)(struct place *);
	int fd, fd2;
	pid_t child;
	char truth[160];
	volatile pid_t tid;
};

static void no_preparation(struct place *p) { (void)p; }

static void held_by_holder(struct place *p) { snprintf(p->truth, sizeof p->truth, "owner=%d", holder_tid); }
static void wait_plain(struct place *p) { (void)p; pthread_mutex_lock(&plain); }
static void wait_pi(struct place *p) { (void)p; pthread_mutex_lock(&pi); }
static void wait_recursive(struct place *p) { (void)p; pthread_mutex_lock(&recursive); }
static void wait_cond(struct place *p)
{
	(void)p;
	pthread_mutex_lock(&own);
	for (;;) pthread_cond_wait(&cond, &own);
}
static void wait_sem(struct place *p) { (void)p; sem_wait(&sem); }

static void prepare_join(struct place *p) { snprintf(p->truth, sizeof p->truth, "joined=%d", joined_tid); }
static void wait_join(struct place *p) { (void)p; pthread_join(joined, NULL); }

static void prepare_pipe(struct place *p, int mine, const char *mode)
{
	int ends[2];
	MUST(pipe2(ends, O_CLOEXEC));
	p->fd = ends[mine];
	p->child = keeper(ends[1 - mine]);
	close(ends[1 - mine]);
	snprintf(p->truth, sizeof p->truth, "fd=%d pipe=%lu peer=%d mode=%s", p->fd, inode_of(p->fd), p->child, mode);
}
static void prepare_pipe_read(struct place *p) { prepare_pipe(p, 0, "read"); }
static void prepare_pipe_write(struct place *p) { prepare_pipe(p, 1, "write"); }
static void wait_read(struct place *p)
{
	char byte[8];
	if (read(p->fd, byte, sizeof byte) < 0) fail("read");
}
static void wait_pipe_write(struct place *p)
{
	static char block[65536];
	for (;;)
		if (write(p->fd, block, sizeof block) < 0) fail("write");
}

static void prepare_unix(struct place *p)
{
	int ends[2];
	MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends));
	p->fd = ends[0];
	p->child = keeper(ends[1]);
	unsigned long peer_inode = inode_of(ends[1]);
	close(ends[1]);
	snprintf(p->truth, sizeof p->truth, "fd=%d inode=%lu peer=%d peer_inode=%lu", p->fd, inode_of(p->fd), p->child,
		 peer_inode);
}

static void prepare_set(struct place *p)
{
	int ends[2];
	MUST(pipe2(ends, O_CLOEXEC));
	p->fd = ends[0];
	p->child = keeper(ends[1]);
	close(ends[1]);
	p->fd2 = MUST(eventfd(0, EFD_CLOEXEC));
	snprintf(p->truth, sizeof p->truth, "fds=%d,%d pipe=%lu peer=%d", p->fd, p->fd2, inode_of(p->fd), p->child);
}
static void wait_poll(struct place *p)
{
	struct pollfd set[2] = {{.fd = p->fd, .events = POLLIN}, {.fd = p->fd2, .events = POLLIN}};
	poll(set, 2, -1);
}
static void wait_epoll(struct place *p)
{
	int ep = MUST(epoll_create1(EPOLL_CLOEXEC));
	struct epoll_event event = {.events = EPOLLIN}, out;
	MUST(epoll_ctl(ep, EPOLL_CTL_ADD, p->fd, &event));
	MUST(epoll_ctl(ep, EPOLL_CTL_ADD, p->fd2, &event));
	epoll_wait(ep, &out, 1, -1);
}
static void wait_select(struct place *p)
{
	fd_set set;
	FD_ZERO(&set);
	FD_SET(p->fd, &set);
	FD_SET(p->fd2, &set);
	select((p->fd > p->fd2 ? p->fd : p->fd2) + 1, &set, NULL, NULL, NULL);
}

static void wait_nanosleep(struct place *p) { (void)p; sleep_ms(3600000); }

static void prepare_child(struct place *p)
{
	p->child = keeper(-1);
	snprintf(p->truth, sizeof p->truth, "child=%d", p->child);
}
static void wait_child(struct place *p) { waitpid(p->child, NULL, 0); }

static void take_posix_lock(int fd)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	MUST(fcntl(fd, F_SETLKW, &lock));
}

// The child holds the lock through its own open file description; the file's name is gone by then.
static void prepare_lock(struct place *p, int posix)
{
	char path[] = "/tmp/xctl-waits-XXXXXX";
	p->fd = MUST(mkostemp(path, O_CLOEXEC));
	int other = MUST(open(path, O_RDWR | O_CLOEXEC)), sync[2];
	MUST(unlink(path));
	MUST(pipe2(sync, O_CLOEXEC));
	p->child = fork_child();
	if (p->child == 0) {
		close(p->fd); // closing any descriptor of a file drops a process's POSIX locks on it
		if (posix) take_posix_lock(other);
		else MUST(flock(other, LOCK_EX));
		if (write(sync[1], "", 1) != 1) fail("sync");
		close_all_but(other);
		for (;;) pause();
	}
	char byte;
	if (read(sync[0], &byte, 1) != 1) fail("no lock");
	close(sync[0]);
	close(sync[1]);
	close(other);
	snprintf(p->truth, sizeof p->truth, "fd=%d inode=%lu owner=%d", p->fd, inode_of(p->fd), p->child);
}
static void prepare_flock(struct place *p) { prepare_lock(p, 0); }
static void prepare_fcntl(struct place *p) { prepare_lock(p, 1); }
static void wait_flock(struct place *p) { flock(p->fd, LOCK_EX); }
static void wait_fcntl(struct place *p) { take_posix_lock(p->fd); }

static void prepare_eventfd(struct place *p)
{
	p->fd = MUST(eventfd(0, EFD_CLOEXEC));
	snprintf(p->truth, sizeof p->truth, "fd=%d", p->fd);
}

static void prepare_accept(struct place *p)
{
	p->fd = listen_at("127.0.0.1", 0, 8);
	snprintf(p->truth, sizeof p->truth, "fd=%d port=%d inode=%lu", p->fd, listen_port(p->fd), inode_of(p->fd));
}
static void wait_accept(struct place *p) { accept(p->fd, NULL, NULL); }

static void prepare_unix_accept(struct place *p)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	p->fd = MUST(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
	MUST(bind(p->fd, (struct sockaddr *)&a, sizeof a.sun_family)); // autobind: no file to remove
	MUST(listen(p->fd, 8));
	snprintf(p->truth, sizeof p->truth, "fd=%d inode=%lu", p->fd, inode_of(p->fd));
}

static struct place places[] = {
	{"mutex", wait_plain, held_by_holder},
	{"pimutex", wait_pi, held_by_holder},
	{"recursive", wait_recursive, held_by_holder},
	{"condvar", wait_cond, no_preparation},
	{"semaphore", wait_sem, no_preparation},
	{"join", wait_join, prepare_join},
	{"pipe-read", wait_read, prepare_pipe_read},
	{"pipe-write", wait_pipe_write, prepare_pipe_write},
	{"unix-read", wait_read, prepare_unix},
	{"poll", wait_poll, prepare_set},
	{"epoll", wait_epoll, prepare_set},
	{"select", wait_select, prepare_set},
	{"nanosleep", wait_nanosleep, no_preparation},
	{"child", wait_child, prepare_child},
	{"flock", wait_flock, prepare_flock},
	{"fcntl", wait_fcntl, prepare_fcntl},
	{"eventfd", wait_read, prepare_eventfd},
	{"accept", wait_accept, prepare_accept},
	{"unix-accept", wait_accept, prepare_unix_accept},
};

static int chosen(const char *kinds, const char *kind)
{
	size_t length = strlen(kind);
	for (const char *at = kinds; at != NULL && *at != '\0'; at = strchr(at, ','), at = at == NULL ? NULL : at + 1)
		if (strncmp(at, kind, length) == 0 && (at[length] == ',' || at[length] == '\0')) return 1;
	return *kinds == '\0';
}

static void *run_holder(void *unused)
{
	pthread_mutex_lock(&plain);
	pthread_mutex_lock(&pi);
	pthread_mutex_lock(&recursive);
	pthread_mutex_lock(&recursive);
	holder_tid = self_tid();
	return sleeper(unused);
}

static void *run_joined(void *unused)
{
	joined_tid = self_tid();
	return sleeper(unused);
}

static void *run_place(void *arg)
{
	struct place *p = arg;
	char name[16];
	snprintf(name, sizeof name, "w-%s", p->kind);
	prctl(PR_SET_NAME, name);
	p->tid = self_tid();
	p->wait(p);
	errno = 0;
	fail("%s came back", p->kind);
}

int main(int argc, char **argv)
{
	die_with_parent();
	const char *kinds = arg_str(argc, argv, "kinds", "");
	pthread_mutexattr_t attr;
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_INHERIT);
	pthread_mutex_init(&pi, &attr);
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(&recursive, &attr);
	sem_init(&sem, 0, 0);

	size_t n = sizeof places / sizeof places[0], count = 0;
	// Children first: a fork after the threads would copy locks in mid-flight.
	for (size_t i = 0; i < n; i++)
		if (chosen(kinds, places[i].kind) && places[i].prepare != held_by_holder && places[i].prepare != prepare_join)
			places[i].prepare(&places[i]);
	start_thread(run_holder, NULL);
	joined = start_thread(run_joined, NULL);
	while (holder_tid == 0 || joined_tid == 0) sleep_ms(1);
	for (size_t i = 0; i < n; i++) {
		struct place *p = &places[i];
		if (!chosen(kinds, p->kind)) continue;
		if (p->prepare == held_by_holder || p->prepare == prepare_join) p->prepare(p);
		start_thread(run_place, p);
		while (p->tid == 0) sleep_ms(1);
		await_state(getpid(), p->tid, 'S');
		ready(getpid(), p->tid, "kind=%s %s", p->kind, p->truth);
		count++;
	}
	if (count == 0) {
		errno = EINVAL;
		fail("kinds=%s", kinds);
	}
	ready(getpid(), getpid(), "kind=all count=%zu", count);
	for (;;) pause();
}
