/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Open files as users of a filesystem or block device: which one a file is on, and which ones a process that ends
 * had open for writing. Probe reads only. Minimum kernel 5.8.
 */
#ifndef XCTL_DEVICE_BPF_H
#define XCTL_DEVICE_BPF_H

#define S_IFMT 0170000
#define S_IFSOCK 0140000
#define S_IFLNK 0120000
#define S_IFREG 0100000
#define S_IFBLK 0060000
#define S_IFDIR 0040000
#define S_IFCHR 0020000
#define S_IFIFO 0010000

#define FMODE_WRITE 2

/* Descriptors looked at of one process. */
#define XCTL_EXIT_FDS 256

/* Of its filesystem, or of the block device that it is; 0: it is on neither. */
static __always_inline __u32 xctl_device_of(struct file *file)
{
	struct inode *inode = BPF_CORE_READ(file, f_inode);

	switch (BPF_CORE_READ(inode, i_mode) & S_IFMT) {
	case S_IFBLK:
		return BPF_CORE_READ(inode, i_rdev);
	case S_IFREG:
	case S_IFDIR:
	case S_IFLNK:
		return BPF_CORE_READ(inode, i_sb, s_dev);
	default:
		return 0;
	}
}

/* Each once; what does not fit is left out. */
static __always_inline void xctl_add_device(__u32 *devs, __u32 dev)
{
	for (int i = 0; i < XCTL_EXIT_DEVS; i++) {
		if (devs[i] == dev)
			return;
		if (!devs[i]) {
			devs[i] = dev;
			return;
		}
	}
}

/* Of a task whose files are still open: the hook on its exit runs before they are closed. */
static __always_inline void xctl_written_devices(__u32 *devs, const struct task_struct *task)
{
	struct fdtable *table = BPF_CORE_READ(task, files, fdt);
	struct file **fds = BPF_CORE_READ(table, fd);
	__u32 max = BPF_CORE_READ(table, max_fds);

	for (__u32 i = 0; i < XCTL_EXIT_FDS; i++) {
		struct file *file = NULL;
		__u32 dev;

		if (i >= max || bpf_probe_read_kernel(&file, sizeof(file), fds + i))
			return;
		if (!file || !(BPF_CORE_READ(file, f_mode) & FMODE_WRITE))
			continue;
		dev = xctl_device_of(file);
		if (dev)
			xctl_add_device(devs, dev);
	}
}

#endif
