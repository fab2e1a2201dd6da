// image= dir=: mounts the ext4 image on dir, in a mount namespace of its own and over a loop device that goes with
// the mount; a child writes there, and the file system is frozen. Prints kind=all writer= device= once the child
// sleeps uninterruptibly. However this process ends, another one thaws the file system: nothing stays behind.
#include "common.h"
#include <linux/fs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/sysmacros.h>

static void write_and_sync(const char *path, int told)
{
	int fd = MUST(open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600));
	for (long i = 0;; i++) {
		if (pwrite(fd, &i, sizeof i, 0) < 0) fail("write");
		MUST(fsync(fd));
		if (i == 0 && write(told, "", 1) != 1) fail("told");
		sleep_ms(1);
	}
}

static void thaw_at_the_end(int dir)
{
	sigset_t end;
	int which;
	sigemptyset(&end);
	sigaddset(&end, SIGTERM);
	sigprocmask(SIG_BLOCK, &end, NULL);
	pid_t parent = getpid(), cleaner = fork();
	if (cleaner != 0) return;
	setsid();
	MUST(prctl(PR_SET_PDEATHSIG, SIGTERM));
	if (getppid() == parent) sigwait(&end, &which);
	ioctl(dir, FITHAW, 0);
	_exit(0);
}

int main(int argc, char **argv)
{
	const char *image = arg_str(argc, argv, "image", ""), *dir = arg_str(argc, argv, "dir", "");
	char command[512], path[256], byte;
	int told[2];
	die_with_parent();
	MUST(unshare(CLONE_NEWNS));
	MUST(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL));
	snprintf(command, sizeof command, "mount -o loop '%s' '%s'", image, dir);
	if (system(command) != 0) fail("%s", command);
	snprintf(path, sizeof path, "%s/file", dir);
	MUST(pipe2(told, O_CLOEXEC));
	int fd = MUST(open(dir, O_RDONLY | O_CLOEXEC));
	struct stat st;
	MUST(fstat(fd, &st));
	thaw_at_the_end(fd);
	pid_t writer = fork_child();
	if (writer == 0) write_and_sync(path, told[1]);
	if (read(told[0], &byte, 1) != 1) fail("nothing written");
	MUST(ioctl(fd, FIFREEZE, 0));
	await_state(writer, writer, 'D');
	ready(getpid(), getpid(), "kind=all writer=%d device=loop%u", writer, minor(st.st_dev));
	for (;;) pause();
}
