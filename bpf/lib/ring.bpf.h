/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The way out of the kernel: two rings, and a count of what did not fit.
 *
 *	struct xctl_tcp *e = xctl_reserve(&xctl_events, struct xctl_tcp, XCTL_TCP_RETRANSMIT);
 *	if (!e)
 *		return 0;
 *	e->hdr.pid = owner.last_pid;
 *	xctl_submit(e);
 *
 * A reserved record is zeroed and its header filled but for pid; a full ring is counted before
 * xctl_reserve() returns NULL, so that no program can lose a record in silence.
 *
 * Every .bpf.c is an ELF of its own. The three maps are created once by src/kernel/kernel.ts and
 * put into each object in place of these definitions before it is loaded; the sizes there are
 * the ones that count. Include after vmlinux.h, bpf_helpers.h and xctl_events.h.
 */
#ifndef XCTL_RING_BPF_H
#define XCTL_RING_BPF_H

/* src/kernel/object.ts refuses an object whose value differs from its own. */
const volatile __u32 xctl_abi SEC(".rodata.xctl") = XCTL_ABI_VERSION;

/* Facts by the thousand: what is lost here is counted, and the next pass repeats it. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 2 * 1024 * 1024);
} xctl_events SEC(".maps");

/* Rare and never repeated (exit, OOM kill): a storm in the other ring cannot push them out. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 512 * 1024);
} xctl_critical SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, XCTL_LOST_MAX);
	__type(key, __u32);
	__type(value, __u64);
} xctl_lost SEC(".maps");

/* Atomic although per CPU: an interrupt may count on top of the program it interrupts. */
static __always_inline void xctl_count_losses(enum xctl_lost_reason reason, __u64 n)
{
	__u32 key = reason;
	__u64 *count = bpf_map_lookup_elem(&xctl_lost, &key);

	if (count)
		__sync_fetch_and_add(count, n);
}

static __always_inline void xctl_count_loss(enum xctl_lost_reason reason)
{
	xctl_count_losses(reason, 1);
}

/* Fills the header of a record that did not come from a ring (an iterator's, a map's). */
static __always_inline void xctl_fill_hdr(struct xctl_hdr *hdr, __u16 kind, __u16 size)
{
	hdr->ts_ns = bpf_ktime_get_boot_ns();
	hdr->kind = kind;
	hdr->size = size;
}

static __always_inline void *xctl__reserve(void *ring, __u32 size, __u16 kind,
					   enum xctl_lost_reason full)
{
	struct xctl_hdr *hdr = bpf_ringbuf_reserve(ring, size, 0);

	if (!hdr) {
		xctl_count_loss(full);
		return NULL;
	}
	/* The ring hands out what it held before. */
	__builtin_memset(hdr, 0, size);
	xctl_fill_hdr(hdr, kind, size);
	return hdr;
}

/* The ring must be named (&xctl_events, &xctl_critical): the compiler picks the counter by it. */
#define xctl_reserve(ring, type, kind)                                                             \
	({                                                                                         \
		_Static_assert(sizeof(type) >= sizeof(struct xctl_hdr) && sizeof(type) <= 1024,    \
			       "a record is a header and at most 1024 bytes");                     \
		_Static_assert(sizeof(type) % 8 == 0, "a record is a multiple of 8 bytes");        \
		(type *)xctl__reserve((ring), sizeof(type), (kind),                                \
				      (const void *)(ring) == (const void *)&xctl_critical ?       \
					      XCTL_LOST_CRITICAL_FULL :                            \
					      XCTL_LOST_EVENTS_FULL);                              \
	})

/* The agent reads on a timer; waking it would cost the workload an interrupt a record. */
#define xctl_submit(record) bpf_ringbuf_submit((record), BPF_RB_NO_WAKEUP)
#define xctl_discard(record) bpf_ringbuf_discard((record), BPF_RB_NO_WAKEUP)

#endif
