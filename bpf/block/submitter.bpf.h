/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Who asked for a request. The kernel knows only in the context of whoever submits the bio that
 * makes it; the request is issued, and completes, in anybody's. So each bio that gets a request
 * leaves a note, and only requests that are told of (slow, failed, stuck) look for theirs.
 *
 * Notes lie in one array, by a hash of the bio's address: no insertion, no deletion, nothing to
 * leak, a few stores a request. The price is that a note can be overwritten, and that an old one can
 * lie under the address of a new bio. A note counts only if it is whole (`seal`), names the request's
 * own first bio and sector, and was written when the request was made. All else is nobody's.
 */
#ifndef XCTL_BLOCK_SUBMITTER_BPF_H
#define XCTL_BLOCK_SUBMITTER_BPF_H

#include "lib/task.bpf.h"

#define XCTL_NOTES_BITS 14
/* A request's start is taken right before, or, in a plug, at the plug's own start (6.9+). */
#define XCTL_NOTE_SLACK_MS 10

struct note {
	__u64 bio;
	__u64 sector;
	__u64 start_ns; /* of the process; 0: a kernel thread */
	__u64 comm[2];
	__u32 pid;
	__u32 jiffies;
	__u64 seal; /* of the seven above: two CPUs may write one note at once */
	__u64 pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1 << XCTL_NOTES_BITS);
	__type(key, __u32);
	__type(value, struct note);
} xctl_block_notes SEC(".maps");

/* The lower half of an address: to the verifier that is a number, the whole of a typed pointer is not. */
static __always_inline __u32 lower_half(const void *pointer)
{
	__u64 half;

	asm volatile("r0 = %1; w0 = w0; %0 = r0" : "=r"(half) : "r"(pointer) : "r0");
	return half;
}

static __always_inline __u32 note_index(__u32 bio)
{
	return (bio * 0x9e3779b1U) >> (32 - XCTL_NOTES_BITS);
}

static __always_inline __u64 note_seal(const struct note *n, __u32 bio)
{
	return bio ^ (n->sector << 8) ^ n->start_ns ^ n->comm[0] ^ n->comm[1] ^ ((__u64)n->pid << 32) ^ n->jiffies;
}

/* `own`: all but bio and seal. */
static __always_inline void note_write(const struct note *own, struct bio *bio)
{
	__u32 half = lower_half(bio), index = note_index(half);
	struct note *n = bpf_map_lookup_elem(&xctl_block_notes, &index);

	if (!n)
		return;
	n->bio = (__u64)bio;
	n->sector = own->sector;
	n->start_ns = own->start_ns;
	n->comm[0] = own->comm[0];
	n->comm[1] = own->comm[1];
	n->pid = own->pid;
	n->jiffies = own->jiffies;
	n->seal = note_seal(own, half);
}

/* Fills `out` with the note of a request that was made `age_ns` ago. */
static __always_inline bool note_find(struct note *out, __u64 bio, __u64 sector, __u64 age_ns)
{
	__u32 index = note_index(bio);
	struct note *n = bpf_map_lookup_elem(&xctl_block_notes, &index);
	__u32 hz = xctl_hz(NULL);
	__u64 note_ms, age_ms = age_ns / 1000000, slack_ms;

	if (!n || !bio)
		return false;
	__builtin_memcpy(out, n, sizeof(*out));
	if (out->bio != bio || out->sector != sector || out->seal != note_seal(out, bio))
		return false;
	note_ms = (__u64)((__u32)bpf_jiffies64() - out->jiffies) * 1000 / hz;
	/* Both ends are rounded to a tick. */
	slack_ms = XCTL_NOTE_SLACK_MS + 2000 / hz;
	return note_ms <= age_ms + slack_ms && age_ms <= note_ms + slack_ms;
}

#endif
