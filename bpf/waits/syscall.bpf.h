/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The system call that a thread sleeps in, as a kind of wait: the table from its number to what its
 * arguments name. Kernel memory only; what user memory tells is the caller's.
 */
#ifndef XCTL_WAITS_SYSCALL_BPF_H
#define XCTL_WAITS_SYSCALL_BPF_H

#include "syscalls.bpf.h"
#include "task.bpf.h"
#include "wanted.bpf.h"

#define F_SETLKW 7
#define F_OFD_SETLKW 38
#define AT_EMPTY_PATH 0x1000

static __always_inline void use_file(struct xctl_wait *e, struct wait_file *w, struct file *file)
{
	xctl_wait_file(w, file);
	e->wait = w->wait;
	e->object = w->object;
	e->peer = w->peer;
	e->dev = w->dev;
	e->readers = w->readers;
	e->writers = w->writers;
	__builtin_memcpy(e->name, w->name, sizeof(e->name));
	if (w->tcp) {
		xctl_fill_flow(&e->flow, w->tcp);
		xctl_fill_tcp_state(&e->tcp, w->tcp);
	}
	xctl_want(w, &e->flow);
}

/* A function of its own: inlined at every system call it would be most of the program. */
static __noinline void use_fd(struct task_struct *t, struct xctl_wait *e, struct wait_file *w, __s32 fd, __u16 op)
{
	struct file *file = xctl_fd_file(t, fd);

	e->fd = fd;
	e->op = op;
	e->wait = XCTL_W_OTHER;
	if (file)
		use_file(e, w, file);
	/* A regular file is waited for in uninterruptible sleep only. */
	if (e->wait == XCTL_W_DISK && !(e->state & TASK_UNINTERRUPTIBLE))
		e->wait = XCTL_W_OTHER;
}

static __always_inline void classify_syscall(struct task_struct *t, struct xctl_wait *e, struct wait_file *w,
					     const __u64 *arg)
{
	switch (e->syscall) {
	case NR_read:
	case NR_readv:
	case NR_pread64:
	case NR_preadv:
	case NR_preadv2:
	case NR_recvfrom:
	case NR_recvmsg:
	case NR_recvmmsg:
	case NR_getdents:
	case NR_getdents64:
	case NR_splice:
	case NR_copy_file_range:
		use_fd(t, e, w, arg[0], XCTL_OP_READ);
		return;
	case NR_fstat:
	case NR_lseek:
		use_fd(t, e, w, arg[0], XCTL_OP_READ);
		return;
	case NR_newfstatat:
		/* Of the descriptor itself; any other path is the walk's. */
		if (arg[3] & AT_EMPTY_PATH)
			use_fd(t, e, w, arg[0], XCTL_OP_READ);
		return;
	case NR_statx:
		if (arg[2] & AT_EMPTY_PATH)
			use_fd(t, e, w, arg[0], XCTL_OP_READ);
		return;
	case NR_write:
	case NR_writev:
	case NR_pwrite64:
	case NR_pwritev:
	case NR_pwritev2:
	case NR_sendto:
	case NR_sendmsg:
	case NR_sendmmsg:
	case NR_sendfile:
	case NR_ftruncate:
	case NR_fallocate:
		use_fd(t, e, w, arg[0], XCTL_OP_WRITE);
		return;
	case NR_fsync:
	case NR_fdatasync:
	case NR_syncfs:
	case NR_sync_file_range:
		use_fd(t, e, w, arg[0], XCTL_OP_SYNC);
		return;
	case NR_connect:
		use_fd(t, e, w, arg[0], XCTL_OP_CONNECT);
		return;
	case NR_accept:
	case NR_accept4:
		use_fd(t, e, w, arg[0], XCTL_OP_READ);
		e->wait = XCTL_W_ACCEPT;
		return;
	case NR_ioctl:
		use_fd(t, e, w, arg[0], XCTL_OP_IOCTL);
		return;
	case NR_flock:
		use_fd(t, e, w, arg[0], XCTL_OP_NONE);
		e->wait = XCTL_W_FILE_LOCK;
		return;
	case NR_fcntl:
		use_fd(t, e, w, arg[0], XCTL_OP_NONE);
		e->wait = arg[1] == F_SETLKW || arg[1] == F_OFD_SETLKW ? XCTL_W_FILE_LOCK : XCTL_W_OTHER;
		return;
	case NR_wait4:
		e->wait = XCTL_W_CHILD;
		e->owner_tid = (__s32)arg[0] > 0 ? arg[0] : 0;
		return;
	case NR_waitid:
		e->wait = XCTL_W_CHILD;
		e->owner_tid = arg[0] == 1 /* P_PID */ ? arg[1] : 0;
		return;
	case NR_nanosleep:
	case NR_clock_nanosleep:
	case NR_pause:
	case NR_rt_sigsuspend:
	case NR_rt_sigtimedwait:
		e->wait = XCTL_W_SLEEP;
		return;
	case NR_select:
	case NR_pselect6:
		/* No descriptor at all: the old way to sleep. */
		e->wait = arg[0] ? XCTL_W_POLL : XCTL_W_SLEEP;
		e->nfds = arg[0];
		e->flags |= XCTL_WF_MEMBERS_CUT;
		return;
	case NR_semop:
	case NR_semtimedop:
	case NR_msgsnd:
	case NR_msgrcv:
		e->wait = XCTL_W_SYSV;
		e->object = arg[0];
		return;
	case NR_io_uring_enter:
		e->wait = XCTL_W_IO_URING;
		e->fd = arg[0];
		return;
	case NR_io_getevents:
	case NR_io_pgetevents:
		e->wait = XCTL_W_AIO;
		return;
	}
}

#endif
