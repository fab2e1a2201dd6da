// A program that lives on storage.
//   mode=read    reads blocks at random places of path, past the page cache (direct=0: through it)
//   mode=write   appends blocks to path (of a device: puts them at random places), each followed by fdatasync
//   mode=loader  a trainer (this process) that reads a pipe, which a worker fills with what it reads of path
//   mode=mmap    touches pages of path that it has mapped
//   mode=stat    asks for the attributes of path
//   mode=hold    has path open for writing and sleeps
// pace_ms: pause between two steps. on_error=exit: ends with code 3 on the first failure; else it goes on.
// later=BYTES: reads only what is before that offset of the file, and only at it from SIGUSR1 on.
// Says `ready kind=all` before the first step, `step` after each hundredth and the first, `error errno=N` for failures.
#include "common.h"
#include <sys/mman.h>

static const char *mode, *path;
static long block_bytes, pace_ms, direct, later;
static int exits;
static volatile sig_atomic_t late;

static void on_late(int signal)
{
	(void)signal;
	late = 1;
}

static int is(const char *name) { return strcmp(mode, name) == 0; }

static void *buffer(void)
{
	void *block = NULL;
	if (posix_memalign(&block, 4096, block_bytes) != 0) fail("posix_memalign");
	memset(block, 'x', block_bytes);
	return block;
}

static void failed(void)
{
	ready(getpid(), self_tid(), "kind=error errno=%d", errno);
	if (exits) _exit(3);
	// Nothing is won by failing a million times a second.
	sleep_ms(20);
}

static void stepped(long steps)
{
	if (steps == 1 || steps % 100 == 0) ready(getpid(), self_tid(), "kind=step step=%ld", steps);
	if (pace_ms > 0) sleep_ms(pace_ms);
}

static off_t somewhere(off_t size)
{
	long blocks = size / block_bytes;
	return blocks > 0 ? random() % blocks * block_bytes : 0;
}

static int open_path(int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0600);
	if (fd == -1) fail("open %s", path);
	return fd;
}

static void read_once(int fd, off_t size, void *block, long *steps)
{
	off_t at = later == 0 ? somewhere(size) : late ? later : somewhere(later);
	if (pread(fd, block, block_bytes, at) < 0) failed();
	else stepped(++*steps);
}

static void reader(void)
{
	int fd = open_path(O_RDONLY | (direct ? O_DIRECT : 0));
	off_t size = MUST(lseek(fd, 0, SEEK_END));
	void *block = buffer();
	ready(getpid(), self_tid(), "kind=all");
	for (long steps = 0;;) {
		if (!direct) posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
		read_once(fd, size, block, &steps);
	}
}

static void writer(void)
{
	struct stat st;
	// Nothing can be appended to a device: it is written at random places.
	int device = stat(path, &st) == 0 && S_ISBLK(st.st_mode);
	int fd = open_path(device ? O_WRONLY : O_WRONLY | O_CREAT | O_APPEND);
	off_t size = MUST(lseek(fd, 0, SEEK_END));
	void *block = buffer();
	ready(getpid(), self_tid(), "kind=all");
	for (long steps = 0;;) {
		// Not lseek: it refuses to move in a device that lost its size by being unplugged.
		ssize_t wrote = device ? pwrite(fd, block, block_bytes, somewhere(size)) : write(fd, block, block_bytes);
		if (wrote != block_bytes || fdatasync(fd) != 0) failed();
		else stepped(++steps);
	}
}

static void mapper(void)
{
	int fd = open_path(O_RDONLY);
	off_t size = MUST(lseek(fd, 0, SEEK_END));
	volatile char *map = MUST(mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0));
	MUST(madvise((void *)map, size, MADV_RANDOM));
	ready(getpid(), self_tid(), "kind=all");
	for (long steps = 0;;) {
		off_t at = somewhere(size);
		(void)map[at];
		stepped(++steps);
		// The next touch must ask the device again.
		madvise((void *)map, size, MADV_DONTNEED);
		posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	}
}

static void asker(void)
{
	ready(getpid(), self_tid(), "kind=all");
	for (long steps = 0;;) {
		struct stat st;
		if (stat(path, &st) != 0) failed();
		else stepped(++steps);
	}
}

static void loader(void)
{
	int ends[2];
	struct stat st;
	MUST(pipe(ends));
	MUST(fstat(ends[0], &st));
	pid_t worker = fork_child();
	if (worker == 0) {
		MUST(prctl(PR_SET_NAME, "worker"));
		close(ends[0]);
		int fd = open_path(O_RDONLY | O_DIRECT);
		off_t size = MUST(lseek(fd, 0, SEEK_END));
		void *block = buffer();
		for (long steps = 0;;) {
			read_once(fd, size, block, &steps);
			if (write(ends[1], "b", 1) != 1) _exit(0);
		}
	}
	MUST(prctl(PR_SET_NAME, "trainer"));
	close(ends[1]);
	ready(getpid(), self_tid(), "kind=all worker=%d pipe=%lu", worker, (unsigned long)st.st_ino);
	for (char byte; read(ends[0], &byte, 1) == 1;)
		;
	_exit(0);
}

int main(int argc, char **argv)
{
	die_with_parent();
	mode = arg_str(argc, argv, "mode", "read");
	path = arg_str(argc, argv, "path", "");
	block_bytes = arg_num(argc, argv, "block", 4096);
	pace_ms = arg_num(argc, argv, "pace_ms", 0);
	direct = arg_num(argc, argv, "direct", 1);
	later = arg_num(argc, argv, "later", 0);
	signal(SIGUSR1, on_late);
	exits = strcmp(arg_str(argc, argv, "on_error", "go"), "exit") == 0;
	srandom(getpid());
	if (is("read")) reader();
	if (is("write")) writer();
	if (is("mmap")) mapper();
	if (is("stat")) asker();
	if (is("loader")) loader();
	if (is("hold")) {
		open_path(O_RDWR | O_CREAT);
		ready(getpid(), self_tid(), "kind=all");
		for (;;) pause();
	}
	errno = EINVAL;
	fail("mode=%s", mode);
}
