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
	NR_stat = 4,
	NR_fstat = 5,
	NR_lstat = 6,
	NR_poll = 7,
	NR_lseek = 8,
	NR_ioctl = 16,
	NR_pread64 = 17,
	NR_pwrite64 = 18,
	NR_readv = 19,
	NR_writev = 20,
	NR_access = 21,
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
	NR_truncate = 76,
	NR_ftruncate = 77,
	NR_getdents = 78,
	NR_chdir = 80,
	NR_rename = 82,
	NR_mkdir = 83,
	NR_rmdir = 84,
	NR_link = 86,
	NR_unlink = 87,
	NR_symlink = 88,
	NR_readlink = 89,
	NR_chmod = 90,
	NR_chown = 92,
	NR_rt_sigtimedwait = 128,
	NR_rt_sigsuspend = 130,
	NR_statfs = 137,
	NR_setxattr = 188,
	NR_getxattr = 191,
	NR_futex = 202,
	NR_io_getevents = 208,
	NR_getdents64 = 217,
	NR_semtimedop = 220,
	NR_clock_nanosleep = 230,
	NR_epoll_wait = 232,
	NR_waitid = 247,
	NR_mkdirat = 258,
	NR_newfstatat = 262,
	NR_unlinkat = 263,
	NR_renameat = 264,
	NR_linkat = 265,
	NR_symlinkat = 266,
	NR_readlinkat = 267,
	NR_fchmodat = 268,
	NR_faccessat = 269,
	NR_pselect6 = 270,
	NR_ppoll = 271,
	NR_splice = 275,
	NR_sync_file_range = 277,
	NR_utimensat = 280,
	NR_epoll_pwait = 281,
	NR_fallocate = 285,
	NR_accept4 = 288,
	NR_preadv = 295,
	NR_pwritev = 296,
	NR_recvmmsg = 299,
	NR_syncfs = 306,
	NR_sendmmsg = 307,
	NR_renameat2 = 316,
	NR_copy_file_range = 326,
	NR_preadv2 = 327,
	NR_pwritev2 = 328,
	NR_statx = 332,
	NR_io_pgetevents = 333,
	NR_io_uring_enter = 426,
	NR_clone3 = 435,
	NR_faccessat2 = 439,
	NR_epoll_pwait2 = 441,
};

/* Calls that go on after the walk along their path, and may wait for its filesystem then. */
static __always_inline bool is_path_call(__s32 nr)
{
	switch (nr) {
	case NR_stat:
	case NR_lstat:
	case NR_access:
	case NR_truncate:
	case NR_chdir:
	case NR_rename:
	case NR_mkdir:
	case NR_rmdir:
	case NR_link:
	case NR_unlink:
	case NR_symlink:
	case NR_readlink:
	case NR_chmod:
	case NR_chown:
	case NR_statfs:
	case NR_setxattr:
	case NR_getxattr:
	case NR_mkdirat:
	case NR_newfstatat:
	case NR_unlinkat:
	case NR_renameat:
	case NR_linkat:
	case NR_symlinkat:
	case NR_readlinkat:
	case NR_fchmodat:
	case NR_faccessat:
	case NR_utimensat:
	case NR_renameat2:
	case NR_statx:
	case NR_faccessat2:
		return true;
	}
	return false;
}

#endif
