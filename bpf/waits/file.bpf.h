/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A file as something to wait for: what it is, by which number other records name it, and who
 * would have to act. Probe reads only; the file may be closed under our hands, which two equal
 * samples exclude.
 */
#ifndef XCTL_WAITS_FILE_BPF_H
#define XCTL_WAITS_FILE_BPF_H

#include "../lib/device.bpf.h"
#include "../lib/flow.bpf.h"

#define XCTL_AF_UNIX 1
#define TTY_MAJOR 4
#define TTYAUX_MAJOR 5
#define UNIX98_PTY_MASTER 128
#define UNIX98_PTY_LAST 143

/* The object that somebody waits for, as the kernel addresses it; see xctl_wanted. */
struct wanted_key {
	__u64 a; /* struct inode *, or the ports of the flow's other end */
	__u64 b; /* 0, or its addresses folded */
};

struct wait_file {
	__u64 object;
	__u64 peer;
	struct wanted_key wanted; /* zero: no holder is looked for */
	__u32 dev;
	__u16 wait;
	__u16 readers;
	__u16 writers;
	__u16 mode; /* S_IFMT of the inode */
	struct sock *tcp; /* non-NULL: fill flow and state from it */
	char name[XCTL_NAME_LEN];
};

static __always_inline struct file *xctl_fd_file(struct task_struct *task, __s32 fd)
{
	struct file **fds = BPF_CORE_READ(task, files, fdt, fd);
	struct file *file = NULL;

	if (fd < 0 || (__u32)fd >= BPF_CORE_READ(task, files, fdt, max_fds))
		return NULL;
	bpf_probe_read_kernel(&file, sizeof(file), fds + fd);
	return file;
}

static __always_inline __u64 xctl_fold(const __u8 *addr)
{
	const __u64 *w = (const __u64 *)addr;

	return w[0] ^ w[1];
}

/* `reverse`: the key of the other end of this flow. */
static __always_inline void xctl_flow_key(struct wanted_key *key, const struct xctl_flow *f, bool reverse)
{
	__u64 l = xctl_fold(f->laddr), r = xctl_fold(f->raddr);

	key->a = reverse ? ((__u64)f->rport << 16 | f->lport) : ((__u64)f->lport << 16 | f->rport);
	/* Not symmetric, so that the two directions have different keys. */
	key->b = (reverse ? r * 3 + l : l * 3 + r) | 1;
}

static __always_inline void xctl_wait_socket(struct wait_file *w, struct file *file, struct inode *inode)
{
	struct socket *sock = BPF_CORE_READ(file, private_data);
	struct sock *sk = BPF_CORE_READ(sock, sk);
	__u16 family = BPF_CORE_READ(sk, __sk_common.skc_family);

	w->object = BPF_CORE_READ(inode, i_ino);
	w->wait = XCTL_W_SOCKET;
	if (family == XCTL_AF_UNIX) {
		struct unix_sock *us = (void *)sk;
		struct sock *peer = BPF_CORE_READ(us, peer);
		struct inode *end = NULL;

		if (BPF_CORE_READ(sk, __sk_common.skc_state) == BPF_TCP_LISTEN) {
			w->wait = XCTL_W_ACCEPT;
			return;
		}
		w->wait = XCTL_W_UNIX;
		if (peer)
			end = BPF_CORE_READ(peer, sk_socket, file, f_inode);
		if (end) {
			w->peer = BPF_CORE_READ(end, i_ino);
			w->wanted.a = (__u64)end;
		}
		return;
	}
	if (!xctl_is_tcp(sk))
		return;
	if (BPF_CORE_READ(sk, __sk_common.skc_state) == BPF_TCP_LISTEN) {
		w->wait = XCTL_W_ACCEPT;
		return;
	}
	w->wait = XCTL_W_TCP;
	w->tcp = sk;
}

static __always_inline void xctl_wait_chr(struct wait_file *w)
{
	__u32 major = w->dev >> 20;

	w->wait = XCTL_W_DEVICE;
	if (major == TTY_MAJOR || major == TTYAUX_MAJOR ||
	    (major >= UNIX98_PTY_MASTER && major <= UNIX98_PTY_LAST))
		w->wait = XCTL_W_TTY;
}

static __always_inline void xctl_wait_file(struct wait_file *w, struct file *file)
{
	struct inode *inode = BPF_CORE_READ(file, f_inode);
	struct pipe_inode_info *pipe;

	w->mode = BPF_CORE_READ(inode, i_mode) & S_IFMT;
	w->object = BPF_CORE_READ(inode, i_ino);
	w->dev = BPF_CORE_READ(inode, i_sb, s_dev);
	switch (w->mode) {
	case S_IFIFO:
		pipe = BPF_CORE_READ(inode, i_pipe);
		w->wait = XCTL_W_PIPE;
		w->readers = BPF_CORE_READ(pipe, readers);
		w->writers = BPF_CORE_READ(pipe, writers);
		w->wanted.a = (__u64)inode;
		break;
	case S_IFSOCK:
		xctl_wait_socket(w, file, inode);
		break;
	case S_IFCHR:
		w->dev = BPF_CORE_READ(inode, i_rdev);
		xctl_wait_chr(w);
		break;
	case S_IFBLK:
		w->dev = BPF_CORE_READ(inode, i_rdev);
		w->wait = XCTL_W_DISK;
		break;
	case S_IFREG:
	case S_IFDIR:
		w->wait = XCTL_W_DISK;
		break;
	default:
		/* Anonymous inodes say what they are in their name: "[eventfd]". */
		bpf_probe_read_kernel_str(w->name, sizeof(w->name),
					  BPF_CORE_READ(file, f_path.dentry, d_name.name));
		w->wait = w->name[1] == 'e' && w->name[6] == 'f' ? XCTL_W_EVENTFD : XCTL_W_OTHER;
	}
}

#endif
