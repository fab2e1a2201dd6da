/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which filesystem a thread waits for when no descriptor and no path says so: page faults on mapped files, write-back,
 * metadata. It sleeps in a wait queue entry on its own kernel stack, right behind what it waits for: a page
 * (folio_wait_bit_common: struct wait_page_queue) or a buffer (wait_on_bit: struct wait_bit_queue_entry).
 *
 * The entry is found by its `private`, which is the task itself, and believed only if what lies before it is whole: a
 * page whose mapping and inode point at each other, a buffer of the device that its page belongs to. Layouts are those
 * of 4.13 and later. Probe reads only. Cost: one read of a kilobyte, for such threads alone.
 */
#ifndef XCTL_WAITS_PAGE_BPF_H
#define XCTL_WAITS_PAGE_BPF_H

#define XCTL_STACK_WORDS 128 /* a power of two */
#define XCTL_STACK_BYTES (XCTL_STACK_WORDS * sizeof(__u64))
#define THREAD_SIZE 16384 /* x86-64; more with KASAN only */
#define MAPPING_FLAGS 3UL /* not of a file: anonymous, movable */
#define KERNEL_TEXT 0xffffffff80000000UL

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

/* 0: no such entry. `stack` has room for XCTL_STACK_WORDS. */
static __noinline __u32 xctl_stack_dev(struct task_struct *t, __u64 *stack)
{
	__u64 self = (__u64)t, sp = BPF_CORE_READ(t, thread.sp);
	/* What lies behind a stack is not mapped. */
	__u64 bytes = (__u64)BPF_CORE_READ(t, stack) + THREAD_SIZE - sp;
	__u32 dev = 0;

	if (bytes > XCTL_STACK_BYTES - sizeof(*stack))
		bytes = XCTL_STACK_BYTES - sizeof(*stack);
	/* The verifier of 6.1 forgets the comparison; a mask it keeps. */
	asm volatile("" : "+r"(bytes));
	bytes &= XCTL_STACK_BYTES - 1;
	if (!stack || bpf_probe_read_kernel(stack, bytes, (void *)sp))
		return 0;
	for (int i = 4; i < XCTL_STACK_WORDS - 1 && !dev; i++) {
		if (i * sizeof(*stack) >= bytes)
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

#endif
