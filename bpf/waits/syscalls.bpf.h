/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * System call numbers, x86-64 (arch/x86/entry/syscalls/syscall_64.tbl). vmlinux.h and pt_regs are
 * of the same architecture; another one needs its own vmlinux.h and a table like this.
 */
#ifndef XCTL_WAITS_SYSCALLS_BPF_H
#define XCTL_WAITS_SYSCALLS_BPF_H

#ifndef __TARGET_ARCH_x86
#error "the waits probe knows x86-64 only"
#endif

enum xctl_syscall {
	NR_read = 0,
	NR_write = 1,
	NR_fstat = 5,
	NR_poll = 7,
	NR_lseek = 8,
	NR_ioctl = 16,
	NR_pread64 = 17,
	NR_pwrite64 = 18,
	NR_readv = 19,
	NR_writev = 20,
	NR_select = 23,
	NR_pause = 34,
	NR_nanosleep = 35,
	NR_sendfile = 40,
	NR_connect = 42,
	NR_accept = 43,
	NR_sendto = 44,
	NR_recvfrom = 45,
	NR_sendmsg = 46,
	NR_recvmsg = 47,
	NR_clone = 56,
	NR_fork = 57,
	NR_vfork = 58,
	NR_wait4 = 61,
	NR_semop = 65,
	NR_msgsnd = 69,
	NR_msgrcv = 70,
	NR_fcntl = 72,
	NR_flock = 73,
	NR_fsync = 74,
	NR_fdatasync = 75,
	NR_ftruncate = 77,
	NR_getdents = 78,
	NR_rt_sigtimedwait = 128,
	NR_rt_sigsuspend = 130,
	NR_futex = 202,
	NR_io_getevents = 208,
	NR_getdents64 = 217,
	NR_semtimedop = 220,
	NR_clock_nanosleep = 230,
	NR_epoll_wait = 232,
	NR_waitid = 247,
	NR_newfstatat = 262,
	NR_pselect6 = 270,
	NR_ppoll = 271,
	NR_splice = 275,
	NR_sync_file_range = 277,
	NR_epoll_pwait = 281,
	NR_fallocate = 285,
	NR_accept4 = 288,
	NR_preadv = 295,
	NR_pwritev = 296,
	NR_recvmmsg = 299,
	NR_syncfs = 306,
	NR_sendmmsg = 307,
	NR_copy_file_range = 326,
	NR_preadv2 = 327,
	NR_pwritev2 = 328,
	NR_statx = 332,
	NR_io_pgetevents = 333,
	NR_io_uring_enter = 426,
	NR_clone3 = 435,
	NR_epoll_pwait2 = 441,
};

#endif
