// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Who has a GPU open: one pass over the open files of all processes (`gpu_users`), for character devices of one
 * major number. By number and not by path: in a container the same device may have any name. Nothing is attached.
 *
 * An ELF of its own beside files.bpf.c, because it is loaded only where there are GPUs, reads less of each file, and
 * keeps what it has told in 48 bytes: a process is walked from its first descriptor to its last.
 *
 * Minimum kernel: 5.8 (iterators). Cost, in the agent's own context and only when looked: 0.3 us a descriptor.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include "xctl_events.h"
#include "lib/ring.bpf.h"
#include "lib/task.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define S_IFMT 0170000
#define S_IFCHR 0020000
#define MINOR_BITS 20
/* Minor numbers of GPUs end at 247; above are nvidiactl (255) and modeset (254), which belong to none. */
#define GPU_MINORS 248

/* Written by user space before each pass; only one runs at a time. */
struct gpu_walk {
	__u32 major;
	__u32 tgid; /* whose files are walked */
	__u64 told[4]; /* its GPUs that were told, by minor number */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct gpu_walk);
} xctl_gpu_walk SEC(".maps");

SEC("iter/task_file")
int gpu_users__iter(struct bpf_iter__task_file *ctx)
{
	struct task_struct *t = ctx->task;
	struct file *file = ctx->file;
	struct xctl_file_user e = {};
	__u32 zero = 0, dev, minor, tgid;
	struct gpu_walk *walk;
	struct inode *inode;
	__u64 bit;

	if (!t || !file)
		return 0;
	inode = file->f_inode;
	if ((inode->i_mode & S_IFMT) != S_IFCHR)
		return 0;
	walk = bpf_map_lookup_elem(&xctl_gpu_walk, &zero);
	dev = inode->i_rdev;
	if (!walk || dev >> MINOR_BITS != walk->major)
		return 0;
	minor = dev & ((1U << MINOR_BITS) - 1);
	tgid = t->tgid;
	/* The agent has all of them open through NVML: it looks, and uses none. */
	if (minor >= GPU_MINORS || t->pid != t->tgid || tgid == bpf_get_current_pid_tgid() >> 32)
		return 0;
	if (walk->tgid != tgid) {
		walk->tgid = tgid;
		__builtin_memset(walk->told, 0, sizeof(walk->told));
	}
	bit = 1ULL << (minor & 63);
	if (walk->told[(minor >> 6) & 3] & bit)
		return 0;
	xctl_fill_hdr(&e.hdr, XCTL_FILE_USER, sizeof(e));
	e.hdr.pid = tgid;
	e.start_ns = xctl_start_ns(t);
	e.dev = dev;
	e.mode = BPF_CORE_READ(file, f_mode) & 3;
	e.fd = ctx->fd;
	BPF_CORE_READ_STR_INTO(&e.comm, t, comm);
	/* A full buffer is no loss: the kernel calls again for this file, which must not look told then. */
	if (!bpf_seq_write(ctx->meta->seq, &e, sizeof(e)))
		walk->told[(minor >> 6) & 3] |= bit;
	return 0;
}
