/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Who is in the middle of a send: where senders are seen when their call returns, the one that has queued a part of
 * its bytes and sleeps until there is room for the rest. Asked only for a record that leaves, so it costs a send nothing.
 *
 * sk_stream_wait_memory() counts itself in sk_write_pending and queues an entry of its own task with
 * woken_wake_function; so does who waits to read. All of them of one process: it is that one. Else nobody is named.
 */
#ifndef XCTL_TCP_BLOCKED_BPF_H
#define XCTL_TCP_BLOCKED_BPF_H

#define MAX_WAITERS 8

/* Weak: with /proc/sys/kernel/kptr_restrict at 2 nobody learns its address. */
extern const void woken_wake_function __ksym __weak;

static __always_inline struct task_struct *blocked_sender(const struct sock *sk)
{
	struct task_struct *found = NULL, *leader = NULL;
	struct list_head *head, *at;
	struct socket_wq *wq;

	if (!&woken_wake_function || !BPF_CORE_READ(sk, sk_write_pending))
		return NULL;
	wq = BPF_CORE_READ(sk, sk_wq);
	if (!wq)
		return NULL;
	head = (void *)wq + bpf_core_field_offset(struct socket_wq, wait.head);
	at = BPF_CORE_READ(head, next);
	for (int i = 0; i < MAX_WAITERS && at != head; i++) {
		struct wait_queue_entry *entry = (void *)at - bpf_core_field_offset(struct wait_queue_entry, entry);

		if ((void *)BPF_CORE_READ(entry, func) == &woken_wake_function) {
			struct task_struct *task = BPF_CORE_READ(entry, private), *first = xctl_leader(task);

			if (leader && leader != first)
				return NULL;
			leader = first;
			found = task;
		}
		at = BPF_CORE_READ(at, next);
	}
	/* More of them than are looked at. */
	return at == head ? found : NULL;
}

#endif
