/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A futex word as evidence. Only three shapes tell who must act, and each is a candidate until
 * user space has found the thread it names among the living threads of the same process:
 *
 *   glibc mutex      waits for word 2 to change, word is 2, and the int 8 bytes on is the owner's tid
 *                    (nptl/lowlevellock.h, sysdeps/nptl/bits/struct_mutex.h)
 *   PI, robust       the word itself holds the owner's tid (include/uapi/linux/futex.h)
 *   pthread_join     waits, not PRIVATE, for the word to change from the joined thread's tid, which
 *                    the kernel clears when that one ends (nptl/pthread_join_common.c)
 *
 * Conditions, semaphores, Go, Rust and the JVM keep no owner in the word: FUTEX, nobody known.
 */
#ifndef XCTL_WAITS_FUTEX_BPF_H
#define XCTL_WAITS_FUTEX_BPF_H

#define FUTEX_CMD_MASK 127
#define FUTEX_PRIVATE_FLAG 128
#define FUTEX_WAIT 0
#define FUTEX_LOCK_PI 6
#define FUTEX_WAIT_BITSET 9
#define FUTEX_LOCK_PI2 13
#define FUTEX_WAITERS 0x80000000u
#define FUTEX_TID_MASK 0x3fffffffu
#define GLIBC_CONTENDED 2

struct futex_mutex {
	__u32 word;
	__u32 count;
	__u32 owner;
};

static __always_inline void xctl_wait_futex(struct xctl_wait *e, const struct futex_mutex *m, __u32 op, __u32 val)
{
	__u32 cmd = op & FUTEX_CMD_MASK;

	e->wait = XCTL_W_FUTEX;
	e->futex_word = m->word;
	if (cmd == FUTEX_LOCK_PI || cmd == FUTEX_LOCK_PI2) {
		e->wait = XCTL_W_LOCK;
		e->owner_tid = m->word & FUTEX_TID_MASK;
	} else if (cmd != FUTEX_WAIT && cmd != FUTEX_WAIT_BITSET) {
		return;
	} else if (val == GLIBC_CONTENDED && m->word == GLIBC_CONTENDED && m->owner) {
		e->wait = XCTL_W_LOCK;
		e->owner_tid = m->owner;
	} else if (m->word == val && (m->word & FUTEX_WAITERS) && (m->word & FUTEX_TID_MASK)) {
		e->wait = XCTL_W_LOCK;
		e->owner_tid = m->word & FUTEX_TID_MASK;
	} else if (m->word == val && val && !(op & FUTEX_PRIVATE_FLAG)) {
		e->wait = XCTL_W_JOIN;
		e->owner_tid = val;
	}
}

#endif
