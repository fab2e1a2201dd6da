// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * tcp.bpf.c for kernels without fentry, 6.3 and later: a sender is seen when its send returns (tracepoint
 * sock_send_length), and one that is blocked in it by what it sleeps on (tcp/blocked.bpf.h). What was written
 * since, by who is neither, is nobody's. Same maps and programs; an object of its own because the better hook
 * would otherwise have to pay for this one.
 */
#define XCTL_SENDS_SEEN_LATE
#include "tcp.bpf.c"
