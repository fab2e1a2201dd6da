// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Who has files open on a filesystem or block device that is in trouble: one pass over the open files of all
 * processes (`users`), for the device numbers in `xctl_wanted_devs`. Nothing is attached.
 *
 * A file on an overlay is the overlay's: user space asks for the overlays above a filesystem as well. A file that
 * is only mapped, or a working directory, is not looked at.
 *
 * Minimum kernel: 5.8 (iterators). Cost, in the agent's own context and only when asked: 0.2 us a descriptor.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include "xctl_events.h"
#include "lib/ring.bpf.h"
#include "lib/task.bpf.h"
#include "lib/device.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define FMODE_RW 3

/* Device number -> the pass that asks for it. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, __u64);
} xctl_wanted_devs SEC(".maps");

struct told_key {
	__u32 tgid;
	__u32 dev;
};

struct told {
	__u64 generation;
	__u64 mode; /* what of FMODE_RW was told */
};

/* Processes have thousands of files on one filesystem: each is told of once, or twice where modes differ. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, struct told_key);
	__type(value, struct told);
} xctl_told_users SEC(".maps");

SEC("iter/task_file")
int users__iter(struct bpf_iter__task_file *ctx)
{
	struct task_struct *t = ctx->task;
	struct file *file = ctx->file;
	struct xctl_file_user e = {};
	struct told_key key = {};
	struct told value = {}, *told;
	__u64 *generation;

	if (!t || !file || xctl_is_kthread(t) || BPF_CORE_READ(t, tgid) != BPF_CORE_READ(t, pid))
		return 0;
	key.dev = xctl_device_of(file);
	generation = bpf_map_lookup_elem(&xctl_wanted_devs, &key.dev);
	if (!generation)
		return 0;
	key.tgid = BPF_CORE_READ(t, tgid);
	e.mode = BPF_CORE_READ(file, f_mode) & FMODE_RW;
	value.generation = *generation;
	value.mode = e.mode;
	told = bpf_map_lookup_elem(&xctl_told_users, &key);
	if (told && told->generation == *generation) {
		if ((told->mode | e.mode) == told->mode)
			return 0;
		value.mode |= told->mode;
	}
	xctl_fill_hdr(&e.hdr, XCTL_FILE_USER, sizeof(e));
	e.hdr.pid = key.tgid;
	e.start_ns = xctl_start_ns(t);
	e.dev = key.dev;
	e.fd = ctx->fd;
	BPF_CORE_READ_STR_INTO(&e.comm, t, comm);
	/* A full buffer is no loss: the kernel calls again for this file, which must not look told then. */
	if (!bpf_seq_write(ctx->meta->seq, &e, sizeof(e)))
		bpf_map_update_elem(&xctl_told_users, &key, &value, BPF_ANY);
	return 0;
}
