/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The members of a poll set: pollfd arrays from the caller's memory, epoll sets from the kernel's
 * tree. A member is reported only if the process's descriptor table agrees with the tree
 * (fds[fd] == file), because nothing is locked while we look.
 * Minimum kernel 5.18 (bpf_loop 5.17, sleepable iterators 5.18); older ones report the set without members.
 */
#ifndef XCTL_WAITS_SET_BPF_H
#define XCTL_WAITS_SET_BPF_H

#include "wanted.bpf.h"

/* Members reported of one set; the walk stops there and says so (XCTL_WF_MEMBERS_CUT). */
#define XCTL_SET_MAX 64
/* Steps in the tree: each item is passed at most three times. */
#define XCTL_TREE_STEPS 224

struct set_walk {
	struct seq_file *seq;
	struct task_struct *task;
	struct xctl_wait_member *m; /* scratch */
	struct wait_file *w; /* scratch */
	struct rb_node *node;
	struct pollfd *fds; /* user memory */
	__u32 nfds;
	__u32 found;
	__u32 down;
	__u32 cut;
};

static __always_inline void xctl_member(struct set_walk *walk, struct file *file, __s32 fd, __u16 op)
{
	struct xctl_wait_member *m = walk->m;
	struct wait_file *w = walk->w;
	struct task_struct *task = walk->task;

	__builtin_memset(m, 0, sizeof(*m));
	__builtin_memset(w, 0, sizeof(*w));
	xctl_wait_file(w, file);
	xctl_fill_hdr(&m->hdr, XCTL_WAIT_MEMBER, sizeof(*m));
	m->hdr.pid = BPF_CORE_READ(task, tgid);
	m->tid = BPF_CORE_READ(task, pid);
	m->fd = fd;
	m->wait = w->wait;
	m->op = op;
	m->object = w->object;
	m->peer = w->peer;
	__builtin_memcpy(m->name, w->name, sizeof(m->name));
	if (w->tcp) {
		xctl_fill_flow(&m->flow, w->tcp);
		xctl_fill_tcp_state(&m->tcp, w->tcp);
	}
	xctl_want(w, &m->flow);
	bpf_seq_write(walk->seq, m, sizeof(*m));
	walk->found++;
}

static long xctl_poll_step(__u32 i, struct set_walk *walk)
{
	struct pollfd pfd = {};
	struct file *file;

	if (i >= walk->nfds || i >= XCTL_SET_MAX)
		return 1;
	if (bpf_copy_from_user_task(&pfd, sizeof(pfd), walk->fds + i, walk->task, 0))
		return 1;
	if (pfd.fd < 0)
		return 0;
	file = xctl_fd_file(walk->task, pfd.fd);
	if (file)
		xctl_member(walk, file, pfd.fd, pfd.events & 4 /* POLLOUT */ ? XCTL_OP_WRITE : XCTL_OP_READ);
	return 0;
}

static __always_inline void xctl_epoll_item(struct set_walk *walk, struct rb_node *node)
{
	struct epitem *item = container_of(node, struct epitem, rbn);
	struct file *file = BPF_CORE_READ(item, ffd.file);
	__s32 fd = BPF_CORE_READ(item, ffd.fd);

	walk->nfds++;
	if (walk->found >= XCTL_SET_MAX) {
		walk->cut = 1;
		return;
	}
	if (file && xctl_fd_file(walk->task, fd) == file)
		xctl_member(walk, file, fd, BPF_CORE_READ(item, event.events) & 4 ? XCTL_OP_WRITE : XCTL_OP_READ);
}

/* In-order walk without a stack: the parent pointer tells where we came from. */
static long xctl_epoll_step(__u32 i, struct set_walk *walk)
{
	struct rb_node *node = walk->node, *next, *parent;

	if (!node)
		return 1;
	if (walk->down) {
		next = BPF_CORE_READ(node, rb_left);
		if (next) {
			walk->node = next;
			return 0;
		}
	}
	xctl_epoll_item(walk, node);
	next = BPF_CORE_READ(node, rb_right);
	if (next) {
		walk->node = next;
		walk->down = 1;
		return 0;
	}
	walk->down = 0;
	for (int up = 0; up < 24; up++) {
		parent = (void *)(BPF_CORE_READ(node, __rb_parent_color) & ~3UL);
		if (!parent) {
			walk->node = NULL;
			return 1;
		}
		if (BPF_CORE_READ(parent, rb_left) == node) {
			walk->node = parent;
			return 0;
		}
		node = parent;
	}
	walk->node = NULL;
	return 1;
}

static __always_inline void xctl_walk_poll(struct set_walk *walk, __u64 fds, __u64 nfds)
{
	walk->fds = (void *)fds;
	walk->nfds = nfds;
	walk->cut = nfds > XCTL_SET_MAX;
	bpf_loop(XCTL_SET_MAX, xctl_poll_step, walk, 0);
}

static __always_inline void xctl_walk_epoll(struct set_walk *walk, struct file *file)
{
	struct eventpoll *ep = BPF_CORE_READ(file, private_data);

	walk->node = BPF_CORE_READ(ep, rbr.rb_root.rb_node);
	walk->down = 1;
	bpf_loop(XCTL_TREE_STEPS, xctl_epoll_step, walk, 0);
	if (walk->node)
		walk->cut = 1;
}

#endif
