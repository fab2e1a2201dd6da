/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Arguments of NCCL's functions at their entry. ncclUniqueId is 128 bytes and passed by value: on x86-64 the
 * caller copies it to the stack, right above the return address, and the arguments behind it move up by one
 * register (rank is the third integer, not the fourth); on arm64 it is a pointer in x2 and takes its register.
 */
#ifndef XCTL_GPU_TRACE_ABI_BPF_H
#define XCTL_GPU_TRACE_ABI_BPF_H

#if defined(__TARGET_ARCH_x86)

/* The n-th argument that was put on the stack. */
static __always_inline __u64 xctl_stack_arg(struct pt_regs *ctx, int n)
{
	__u64 value = 0;

	if (bpf_probe_read_user(&value, sizeof(value), (void *)(PT_REGS_SP(ctx) + 8 * (n + 1))))
		xctl_count_loss(XCTL_LOST_READ);
	return value;
}

#define XCTL_UNIQUE_ID(ctx) ((void *)(PT_REGS_SP(ctx) + 8))
#define XCTL_RANK(ctx) ((int)PT_REGS_PARM3(ctx))
#define XCTL_ARG6(ctx) ((ctx)->r9)
#define XCTL_ARG7(ctx) xctl_stack_arg(ctx, 0)

#elif defined(__TARGET_ARCH_arm64)

#define XCTL_UNIQUE_ID(ctx) ((void *)PT_REGS_PARM3(ctx))
#define XCTL_RANK(ctx) ((int)PT_REGS_PARM4(ctx))
#define XCTL_ARG6(ctx) (__PT_REGS_CAST(ctx)->regs[5])
#define XCTL_ARG7(ctx) (__PT_REGS_CAST(ctx)->regs[6])

#else
#error "the calling convention of this architecture is not known here"
#endif

#endif
