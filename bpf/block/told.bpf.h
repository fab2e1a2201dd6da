/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A disk that is slow or fails does so for every request: a few a second are told of, the others
 * counted into the next one that is.
 */
#ifndef XCTL_BLOCK_TOLD_BPF_H
#define XCTL_BLOCK_TOLD_BPF_H

#define XCTL_TOLD_A_SECOND 20

struct told {
	__u64 second;
	__u32 count;
	__u32 suppressed;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, __u64);
	__type(value, struct told);
} xctl_block_told SEC(".maps");

/*
 * Whether one more may be told of; then *suppressed is how many were not since the last.
 * Two CPUs at once may let one too many through, or count one twice: it is a brake and no meter.
 */
static __always_inline bool xctl_may_tell(__u32 dev, __u16 kind, __u64 now_ns, __u32 *suppressed)
{
	struct told fresh = {}, *told;
	__u64 key = (__u64)kind << 32 | dev, second = now_ns / 1000000000;

	told = bpf_map_lookup_elem(&xctl_block_told, &key);
	if (!told) {
		bpf_map_update_elem(&xctl_block_told, &key, &fresh, BPF_NOEXIST);
		told = bpf_map_lookup_elem(&xctl_block_told, &key);
		if (!told) {
			xctl_count_loss(XCTL_LOST_WANTED_FULL);
			return false;
		}
	}
	if (told->second != second) {
		told->second = second;
		told->count = 0;
	}
	if (told->count >= XCTL_TOLD_A_SECOND) {
		told->suppressed++;
		return false;
	}
	told->count++;
	*suppressed = told->suppressed;
	told->suppressed = 0;
	return true;
}

#endif
