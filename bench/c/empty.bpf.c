// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Programs that do nothing where the agent's do their work: what being attached there costs at all. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

SEC("tp_btf/block_getrq")
int submit__tp_btf(void *ctx)
{
	return 0;
}

SEC("tp_btf/block_rq_complete")
int complete__tp_btf(void *ctx)
{
	return 0;
}
