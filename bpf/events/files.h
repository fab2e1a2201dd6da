/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Who has files open on a device. Part of xctl_events.h, whose rules hold here. */
#ifndef XCTL_EVENTS_FILES_H
#define XCTL_EVENTS_FILES_H

/* XCTL_FILE_USER: once a process and device. */
struct xctl_file_user {
	struct xctl_hdr hdr;
	__u64 start_ns;
	__u32 dev; /* s_dev of the filesystem, or of the block or character device itself */
	__u32 mode; /* FMODE_READ 1, FMODE_WRITE 2 of the file that was found */
	__s32 fd;
	__u32 pad;
	char comm[XCTL_COMM_LEN];
};

#endif
