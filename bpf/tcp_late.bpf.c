// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * tcp.bpf.c for kernels 6.3 to 6.15 without fentry: a sender is seen when its send returns
 * (tracepoint sock_send_length). What was written and not yet told of is nobody's, so a process
 * that is blocked in send(2) is `unknown` here instead of named. Same maps, programs and cost; an
 * object of its own because the better hooks would otherwise have to pay for this one.
 */
#define XCTL_SENDS_SEEN_LATE
#include "tcp.bpf.c"
