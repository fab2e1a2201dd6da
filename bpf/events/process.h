/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Processes: fork, exec, exit, and who was there before. Part of xctl_events.h, whose rules hold here. */
#ifndef XCTL_EVENTS_PROCESS_H
#define XCTL_EVENTS_PROCESS_H

struct xctl_process {
	struct xctl_hdr hdr;
	__u64 start_ns; /* of the thread group leader */
	__u64 parent_start_ns;
	__u64 cgroup_id; /* of the cgroup v2 hierarchy */
	__u32 ppid; /* real parent's tgid */
	__u32 uid;
	__u32 exit_code; /* exit: as wait(2) gives it: code << 8 | signal | 0x80 if core */
	__u32 pid_ns; /* inode of the pid namespace */
	__u32 ns_pid; /* tgid as seen in that namespace */
	__u32 cmdline_len; /* exec: bytes used of cmdline; arguments are separated by NUL */
	char comm[XCTL_COMM_LEN];
};

/* exec, seen */
struct xctl_process_exec {
	struct xctl_process p;
	char cmdline[XCTL_CMDLINE_LEN];
};

#define XCTL_EXIT_DEVS 4

/* exit */
struct xctl_process_exit {
	struct xctl_process p;
	/* By itself, and badly: what it had files open for writing on, major << 20 | minor; 0: no more of them. */
	__u32 wrote[XCTL_EXIT_DEVS];
};

/* exit by the OOM killer: parent and leaf cgroup name of the victim, "parent/leaf" */
struct xctl_process_oom {
	struct xctl_process p;
	__u64 rss_bytes; /* of the victim, when it was chosen */
	__u64 limit_bytes; /* of the group that ran out; 0: the node did */
	__u64 usage_bytes;
	char cgroup[XCTL_CGROUP_LEN];
	char limited[XCTL_CGROUP_LEN]; /* the group whose limit it was: the victim's or one above */
};

#endif
