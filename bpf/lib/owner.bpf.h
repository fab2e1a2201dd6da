/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Whose socket is this? Written where the kernel runs in the owner's own context, read where it
 * does not (retransmit timers, ACK processing), kept in the socket itself, so that it dies with it
 * and no table can be full or stale.
 *
 * `created` is who made the socket, `last` who sent on it last; a retransmit is of data, so it
 * belongs to `last`, and only where that is a fact:
 *
 *   CONNECT   called connect(2): the SYN is its own, and so is what nobody else was seen to send
 *   SEND      put data (or the FIN) into the socket
 *   ITER      was the only process that held it when the agent started, nobody was seen to send since
 *
 * ACCEPT is not proof: a fork-per-connection server accepts in the parent and sends in the child.
 * LISTENER is what a new connection inherits from the listening socket by BPF_F_CLONE: who set the
 * port up, which with prefork is none of those who serve it. Both stay `created`.
 *
 * A later fork, or a descriptor passed on, needs no hook: the first send of the other process is
 * seen before its bytes are queued. Two holders at start (`shared`) are nobody's until one sends.
 */
#ifndef XCTL_OWNER_BPF_H
#define XCTL_OWNER_BPF_H

#include "task.bpf.h"

struct sock_owner {
	struct xctl_owner o;
	__u64 connect_ns; /* SYN_SENT; 0 once established, and in what a listener hands down */
	__u32 sent_seq; /* write_seq after the last send that was seen */
	__u8 after; /* sends are seen when they return: what is beyond sent_seq is of unknown hand */
	__u8 told; /* user space has heard of this connection */
	__u8 pad[2];
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
	__type(key, int);
	__type(value, struct sock_owner);
} xctl_owners SEC(".maps");

/* Creation can fail: storage is charged to the socket (net.core.optmem_max). Counted, not hidden. */
static __always_inline struct sock_owner *xctl_owner_make(struct sock *sk)
{
	struct sock_owner *owner = bpf_sk_storage_get(&xctl_owners, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);

	if (!owner)
		xctl_count_loss(XCTL_LOST_STORAGE);
	return owner;
}

static __always_inline void xctl_owner_created(struct xctl_owner *o, struct task_struct *task, __u8 how)
{
	o->created_pid = BPF_CORE_READ(task, tgid);
	o->created_start_ns = xctl_start_ns(task);
	o->created_how = how;
}

static __always_inline void xctl_owner_last(struct xctl_owner *o, struct task_struct *task, __u8 how)
{
	struct task_struct *leader = xctl_leader(task);

	o->last_pid = BPF_CORE_READ(task, tgid);
	o->last_start_ns = BPF_CORE_READ(leader, start_boottime);
	o->last_how = how;
	o->shared = 0;
	BPF_CORE_READ_STR_INTO(&o->comm, leader, comm);
}

/* NFS, iSCSI and the like: opened by the kernel for itself, whoever's context it runs in. */
static __always_inline bool xctl_kernel_socket(const struct sock *sk)
{
	return BPF_CORE_READ_BITFIELD_PROBED(sk, sk_kern_sock);
}

/*
 * The process that a retransmit of this socket belongs to; 0 when that is not known.
 * `write_seq` is the socket's: bytes written since the last send that was seen are of unknown hand
 * where sends are only seen when they return.
 */
static __always_inline __u32 xctl_owner_pid(const struct sock_owner *owner, __u32 write_seq)
{
	const struct xctl_owner *o = &owner->o;

	if (o->kernel || o->shared)
		return 0;
	if (owner->after && owner->sent_seq != write_seq)
		return 0;
	if (o->last_how == XCTL_HOW_SEND || o->last_how == XCTL_HOW_CONNECT || o->last_how == XCTL_HOW_ITER)
		return o->last_pid;
	return 0;
}

#endif
