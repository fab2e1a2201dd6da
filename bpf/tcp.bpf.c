// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * TCP connections in trouble, and whose they are.
 *
 * Ownership (lib/owner.bpf.h) is written in the owner's own context: connect (state SYN_SENT),
 * accept, every change of sender, the FIN, and one walk over all descriptors at start for sockets
 * that are older than the agent. Everything else only reads it.
 *
 * What leaves the kernel is a change of state: a connection made or refused, the first retransmit,
 * every RTO further than the last, a reset, a closed window, recovery, the end. Retransmits between
 * these are counted in the socket and leave at most four times a second (`suppressed`).
 *
 * Minimum kernel: 5.12 (socket storage and cookies in tracing programs); senders are seen before
 * their first byte is queued wherever fentry works; where it does not, tcp_late.bpf.c.
 * Cost, measured on 6.18: below 0.1 us a send, for one storage lookup and three compares; 2 us a connect, 4 us a retransmit that is told; a pass 0.14 us a descriptor.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include "xctl_events.h"
#include "lib/ring.bpf.h"
#include "lib/task.bpf.h"
#include "lib/flow.bpf.h"
#include "lib/owner.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#include "tcp/senders.bpf.h"
#include "tcp/life.bpf.h"
#include "tcp/trouble.bpf.h"
#include "tcp/passes.bpf.h"
