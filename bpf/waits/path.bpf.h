/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Where a path walk has come to. A thread that sleeps uninterruptibly in open, stat, unlink and the like has no
 * descriptor that would name the filesystem; while the path is walked (the look-up and revalidation of each
 * name, and all of open) task->nameidata stands on the directory whose filesystem has to answer.
 *
 * It is NULL again when the walk is over and the call itself waits: getattr of stat after the walk, unlink, mkdir
 * and rename of the last name, the flush of close. Of these no filesystem is known from here.
 *
 * struct nameidata is private to fs/namei.c and comes by BTF; since 3.19 task_struct points to it.
 */
#ifndef XCTL_WAITS_PATH_BPF_H
#define XCTL_WAITS_PATH_BPF_H

struct nameidata___walk {
	struct path path;
} __attribute__((preserve_access_index));

/* Device of the filesystem, 0 when no walk is on its way. */
static __always_inline __u32 xctl_walk_dev(struct task_struct *t)
{
	struct nameidata___walk *walk = NULL;
	struct dentry *dentry;

	if (!bpf_core_field_exists(t->nameidata) || !bpf_core_field_exists(walk->path))
		return 0;
	walk = (void *)BPF_CORE_READ(t, nameidata);
	if (!walk)
		return 0;
	/* The dentry and not the mount: of a mount that is just being crossed both are read. */
	dentry = BPF_CORE_READ(walk, path.dentry);
	return dentry ? BPF_CORE_READ(dentry, d_sb, s_dev) : 0;
}

#endif
