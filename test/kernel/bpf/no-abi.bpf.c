/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* An object that is not ours: it names no version at all. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

SEC("tp/sched/sched_process_exec")
int exec__tp(void *ctx)
{
	return 0;
}
