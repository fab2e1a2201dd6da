/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Waits: a thread, what it waits for, and who holds that. Part of xctl_events.h, whose rules hold here. */
#ifndef XCTL_EVENTS_WAITS_H
#define XCTL_EVENTS_WAITS_H

/* What a sleeping thread sleeps in. */
enum xctl_wait_kind {
	XCTL_W_RUN = 1, /* on a CPU or runnable */
	XCTL_W_SLEEP = 2, /* nanosleep, pause, sigwait: by design */
	XCTL_W_FUTEX = 3, /* condition, semaphore, or a lock whose owner did not check */
	XCTL_W_LOCK = 4, /* futex with a checked owner */
	XCTL_W_JOIN = 5, /* pthread_join of owner_tid */
	XCTL_W_PIPE = 6,
	XCTL_W_UNIX = 7,
	XCTL_W_TCP = 8,
	XCTL_W_ACCEPT = 9, /* accept(2) on a listening socket: by design */
	XCTL_W_POLL = 10, /* poll, select */
	XCTL_W_EPOLL = 11,
	XCTL_W_CHILD = 12, /* wait4, waitid */
	XCTL_W_FILE_LOCK = 13, /* flock, fcntl */
	XCTL_W_DISK = 14, /* uninterruptible, on a file or device */
	XCTL_W_DEVICE = 15, /* ioctl or read on a character device */
	XCTL_W_STOPPED = 16, /* SIGSTOP and the like */
	XCTL_W_TRACED = 17, /* by a debugger: owner_pid */
	XCTL_W_FROZEN = 18, /* cgroup freezer */
	XCTL_W_IO_URING = 19,
	XCTL_W_AIO = 20,
	XCTL_W_EVENTFD = 21,
	XCTL_W_SOCKET = 22, /* another family: UDP, netlink, vsock, … */
	XCTL_W_SYSV = 23, /* semop, msgrcv */
	XCTL_W_TTY = 24,
	XCTL_W_KERNEL = 25, /* uninterruptible, no object known: a lock inside the kernel */
	XCTL_W_OTHER = 26,
};

enum xctl_wait_op {
	XCTL_OP_NONE = 0,
	XCTL_OP_READ = 1,
	XCTL_OP_WRITE = 2,
	XCTL_OP_CONNECT = 3,
	XCTL_OP_IOCTL = 4,
	XCTL_OP_SYNC = 5,
};

/* XCTL_WAIT. object is what other records name the same thing by. */
struct xctl_wait {
	struct xctl_hdr hdr;
	__u64 start_ns; /* of the process */
	__u64 since_ns; /* when it last left a CPU, by the scheduler's own account */
	__u64 switches; /* nvcsw + nivcsw: equal in two passes = one continuous sleep */
	__u64 run_ns; /* CPU time of this thread so far */
	__u64 object; /* futex address, pipe or socket inode, epoll inode, file inode */
	__u64 peer; /* unix: peer's socket inode */
	__u32 tid;
	__s32 syscall; /* -1 when not in one */
	__u32 state; /* task->__state */
	__s32 fd;
	__u32 owner_tid; /* lock, join: holder's tid; child: awaited pid; traced: tracer */
	__u32 dev; /* s_dev or i_rdev of the file, major << 20 | minor */
	__u16 wait; /* enum xctl_wait_kind */
	__u16 op; /* enum xctl_wait_op */
	__u16 readers; /* pipe */
	__u16 writers;
	__u32 futex_word;
	__u32 nfds; /* poll: descriptors in the set, as far as they were counted */
	__u32 threads; /* in the process */
	__u32 flags; /* XCTL_WF_* */
	__u64 delay_ns; /* runnable without a CPU so far, the present wait included; 0 where not kept */
	__u32 cpu; /* that it runs on, is queued on or ran on last */
	__u32 cpus; /* that it may run on */
	char comm[XCTL_COMM_LEN]; /* of the thread */
	char name[XCTL_NAME_LEN]; /* of an anonymous inode: [eventfd], [infinibandevent], … */
	struct xctl_flow flow; /* tcp */
	struct xctl_tcp_state tcp;
};

/* XCTL_WAIT_MEMBER */
struct xctl_wait_member {
	struct xctl_hdr hdr;
	__u64 object;
	__u64 peer;
	__u32 tid;
	__s32 fd;
	__u16 wait; /* enum xctl_wait_kind: what the descriptor is */
	__u16 op;
	__u32 pad;
	char name[XCTL_NAME_LEN];
	struct xctl_flow flow;
	struct xctl_tcp_state tcp;
};

#define XCTL_WF_IOWAIT 1u
#define XCTL_WF_SIMPLE 2u /* kernel cannot read user memory from the iterator: futex owners unknown */
#define XCTL_WF_MEMBERS_CUT 4u /* the poll set is larger than what was walked */
#define XCTL_WF_MEMSTALL 8u /* reclaims memory, or is throttled for it (PSI's own mark) */
#define XCTL_WF_ON_CPU 16u
#define XCTL_WF_PATH 32u /* no descriptor: dev is where a path walk has come to, or of the page that it waits for */

/* XCTL_WAIT_SAME */
struct xctl_wait_same {
	struct xctl_hdr hdr;
	__u32 tid;
	__u32 pad;
};

/* XCTL_WAIT_HOLDER: hdr.pid has the object open. */
struct xctl_wait_holder {
	struct xctl_hdr hdr;
	__u64 start_ns;
	__u64 object; /* inode, as in xctl_wait.object or .peer */
	__s32 fd;
	__u32 mode; /* FMODE_READ 1, FMODE_WRITE 2 */
	__u16 wait; /* XCTL_W_PIPE, XCTL_W_UNIX, XCTL_W_TCP */
	__u16 queued; /* tcp: it has the listening socket open, and has not accepted this connection yet */
	__u32 pad2;
	struct xctl_flow flow; /* tcp: as this holder sees it, so local and remote are swapped */
	struct xctl_tcp_state tcp; /* tcp: the sequence numbers prove that it is the other end */
	char comm[XCTL_COMM_LEN];
};

#endif
