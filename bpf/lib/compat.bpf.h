/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What differs between kernels, one shim each, with the change that forced it.
 * vmlinux.h is of 6.18; older names are `___old` flavours that CO-RE resolves when the object is
 * loaded, so that the branch for another kernel is dead code there.
 */
#ifndef XCTL_COMPAT_BPF_H
#define XCTL_COMPAT_BPF_H

/* 6.15 renamed kernfs_node.parent to __parent (it became an RCU pointer). */
struct kernfs_node___old {
	struct kernfs_node *parent;
} __attribute__((preserve_access_index));

static __always_inline struct kernfs_node *xctl_kn_parent(struct kernfs_node *kn)
{
	struct kernfs_node___old *old = (void *)kn;

	if (bpf_core_field_exists(old->parent))
		return BPF_CORE_READ(old, parent);
	return BPF_CORE_READ(kn, __parent);
}

/*
 * Ticks a second. Not in BTF, and kconfig is not there in every container: jiffies start at
 * 2^32 - 300 * HZ by definition (INITIAL_JIFFIES) and follow CLOCK_MONOTONIC, so the two together
 * say it at any time but close to 300 s of uptime, where the delayed-ACK limit (HZ / 5, 5.10+) does.
 */
static __u32 xctl_hz_known;

static __always_inline __u32 xctl_hz(const struct sock *sk)
{
	const struct inet_connection_sock *icsk = (const void *)sk;
	__u32 hz = xctl_hz_known;
	__u64 ticks = bpf_jiffies64(), up_ms = bpf_ktime_get_ns() / 1000000;

	if (hz)
		return hz;
	if (up_ms > 330000 && ticks > (1ULL << 32))
		hz = ((ticks - (1ULL << 32)) * 1000) / (up_ms - 300000);
	else if (up_ms < 270000 && ticks < (1ULL << 32))
		hz = (((1ULL << 32) - ticks) * 1000) / (300000 - up_ms);
	else if (bpf_core_field_exists(icsk->icsk_delack_max))
		return BPF_CORE_READ(icsk, icsk_delack_max) * 5 ?: 250;
	else
		return 250;
	/* Ticks lost while the clock was not running yet move it by a fraction of a per cent. */
	if (hz >= 97 && hz <= 103)
		hz = 100;
	else if (hz >= 243 && hz <= 257)
		hz = 250;
	else if (hz >= 291 && hz <= 309)
		hz = 300;
	else if (hz >= 970 && hz <= 1030)
		hz = 1000;
	else if (!hz)
		hz = 250;
	xctl_hz_known = hz;
	return hz;
}

/*
 * inet_csk_accept() returns the socket; 6.10 replaced (flags, err, kern) by one struct
 * proto_accept_arg, which moves the return value from ctx[4] to ctx[2]. bpf_get_func_ret() would
 * give it as a number only, and socket storage wants the typed pointer. The barriers keep the two
 * loads apart: a context is read at constant offsets only.
 */
#define xctl_accepted(ctx)                                                                         \
	({                                                                                         \
		struct sock *__sk;                                                                 \
		if (bpf_core_type_exists(struct proto_accept_arg)) {                               \
			__sk = (struct sock *)(ctx)[2];                                            \
			asm volatile("" : "+r"(__sk));                                             \
		} else {                                                                           \
			__sk = (struct sock *)(ctx)[4];                                            \
			asm volatile("" : "+r"(__sk));                                             \
		}                                                                                  \
		__sk;                                                                              \
	})

#endif
