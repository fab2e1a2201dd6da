/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which filesystem a thread waits for when no descriptor and no path says so: page faults on mapped files, write-back,
 * metadata. It sleeps in a wait queue entry on its own kernel stack, right behind what it waits for: a page
 * (folio_wait_bit_common: struct wait_page_queue) or a buffer (wait_on_bit: struct wait_bit_queue_entry).
 *
 * The entry is found by its `private`, which is the task itself, and believed only if what lies before it is whole: a
 * page whose mapping and inode point at each other, a buffer of the device that its page belongs to. Layouts are those
 * of 4.13 and later. Probe reads only. Cost: one or two reads of up to 4 KiB, for such threads alone.
 */
#ifndef XCTL_WAITS_PAGE_BPF_H
#define XCTL_WAITS_PAGE_BPF_H

#define XCTL_STACK_WORDS 512 /* a power of two */
#define XCTL_NEAR_WORDS 128 /* a sleeper's wait queue entry is near the end of its stack */
#define XCTL_STACK_BYTES (XCTL_STACK_WORDS * sizeof(__u64))
#define THREAD_SIZE 16384 /* x86-64; more with KASAN only */
#define MAPPING_FLAGS 3UL /* not of a file: anonymous, movable */
#define KERNEL_TEXT 0xffffffff80000000UL
#define KERNEL_MEMORY 0xff00000000000000UL /* also with five levels of page tables */

/* s_dev of the page's filesystem; of a block device's own cache, the device. */
static __always_inline __u32 page_dev(__u64 address)
{
	struct page *page = (void *)address;
	struct address_space *mapping = BPF_CORE_READ(page, mapping);
	struct inode *inode;
	__u32 rdev;

	if (!mapping || ((__u64)mapping & MAPPING_FLAGS))
		return 0;
	inode = BPF_CORE_READ(mapping, host);
	if (!inode || BPF_CORE_READ(inode, i_mapping) != mapping)
		return 0;
	rdev = BPF_CORE_READ(inode, i_rdev);
	return rdev ? rdev : BPF_CORE_READ(inode, i_sb, s_dev);
}

static __always_inline __u32 buffer_dev(__u64 address)
{
	struct buffer_head *buffer = (void *)address;
	__u32 dev = BPF_CORE_READ(buffer, b_bdev, bd_dev);

	return dev && page_dev((__u64)BPF_CORE_READ(buffer, b_page)) ? dev : 0;
}

/* @returns bytes of it that were read: what lies behind a stack is not mapped. */
static __always_inline __u64 xctl_read_stack(struct task_struct *t, __u64 *stack)
{
	__u64 sp = BPF_CORE_READ(t, thread.sp);
	__u64 bytes = (__u64)BPF_CORE_READ(t, stack) + THREAD_SIZE - sp;

	if (bytes > XCTL_STACK_BYTES - sizeof(*stack))
		bytes = XCTL_STACK_BYTES - sizeof(*stack);
	/* The verifier of 6.1 forgets the comparison; a mask it keeps. */
	asm volatile("" : "+r"(bytes));
	bytes &= XCTL_STACK_BYTES - 1;
	if (!stack || bpf_probe_read_kernel(stack, bytes, (void *)sp))
		return 0;
	return bytes;
}

/* 0: no such entry. `stack` has room for XCTL_STACK_WORDS. */
static __noinline __u32 xctl_stack_dev(struct task_struct *t, __u64 *stack)
{
	__u64 self = (__u64)t, bytes = xctl_read_stack(t, stack);
	__u32 dev = 0;

	for (int i = 4; i < XCTL_NEAR_WORDS && !dev; i++) {
		if ((i + 1) * sizeof(*stack) >= bytes)
			break;
		/* wait_queue_entry: flags, private, func. */
		if (stack[i] != self || stack[i + 1] < KERNEL_TEXT)
			continue;
		dev = page_dev(stack[i - 3]);
		if (!dev)
			dev = buffer_dev(stack[i - 4]);
	}
	return dev;
}

/* s_dev of the filesystem that both belong to, if they are a mount and a dentry at all. */
static __noinline __u32 path_dev(__u64 mount, __u64 name)
{
	struct vfsmount *mnt = (void *)mount;
	struct dentry *dentry = (void *)name;
	struct super_block *sb = BPF_CORE_READ(dentry, d_sb);

	if (!sb || BPF_CORE_READ(mnt, mnt_sb) != sb || BPF_CORE_READ(mnt, mnt_root, d_sb) != sb)
		return 0;
	return BPF_CORE_READ(sb, s_dev);
}

struct path_scan {
	__u64 *stack;
	__u64 bytes;
	__u32 dev;
	__u32 others; /* of further filesystems */
};

static long path_at(__u32 i, struct path_scan *scan)
{
	__u64 mount, name;
	__u32 dev;

	if (i >= XCTL_STACK_WORDS - 1 || (i + 2) * sizeof(__u64) > scan->bytes)
		return 1;
	mount = scan->stack[i];
	name = scan->stack[i + 1];
	if (mount < KERNEL_MEMORY || name < KERNEL_MEMORY || name >= KERNEL_TEXT)
		return 0;
	dev = path_dev(mount, name);
	if (!dev)
		return 0;
	if (scan->dev && scan->dev != dev)
		scan->others++;
	scan->dev = dev;
	return 0;
}

/*
 * The filesystem of a call by path that has done its walk (stat, unlink, rename): the call keeps the struct path on its
 * stack. All that lie there must agree on the filesystem; else it is one of several, and none is named.
 * bpf_loop (5.17), since a loop of this length is more than the verifier of 6.18 cares to follow.
 */
static __always_inline __u32 xctl_stack_path_dev(struct task_struct *t, __u64 *stack)
{
	struct path_scan scan = { .stack = stack };

	scan.bytes = xctl_read_stack(t, stack);
	bpf_loop(XCTL_STACK_WORDS - 1, path_at, &scan, 0);
	return scan.others ? 0 : scan.dev;
}

#endif
