/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* An object from another version. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include "xctl_events.h"
#undef XCTL_ABI_VERSION
#define XCTL_ABI_VERSION 99
#include "lib/ring.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

SEC("tp/sched/sched_process_exec")
int exec__tp(void *ctx)
{
	return 0;
}
