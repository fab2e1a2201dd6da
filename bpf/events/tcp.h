/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* TCP: a flow, its owner and its state. Part of xctl_events.h, whose rules hold here. */
#ifndef XCTL_EVENTS_TCP_H
#define XCTL_EVENTS_TCP_H

/* How the owner of a socket came to be known; see docs/architecture.md. */
enum xctl_owner_how {
	XCTL_HOW_NONE = 0,
	XCTL_HOW_CONNECT = 1, /* called connect(2) */
	XCTL_HOW_ACCEPT = 2, /* accept(2) returned it */
	XCTL_HOW_SEND = 3, /* sent on it */
	XCTL_HOW_ITER = 4, /* the only process that held it when the agent started */
	XCTL_HOW_LISTENER = 5, /* inherited from the listening socket: not proven */
};

struct xctl_owner {
	__u64 created_start_ns;
	__u64 last_start_ns;
	__u32 created_pid;
	__u32 last_pid; /* who sent on it last: the one a retransmit belongs to */
	__u8 created_how; /* enum xctl_owner_how */
	__u8 last_how;
	__u8 shared; /* several processes held it and none has sent since: owner unknown */
	__u8 kernel; /* owned by a kernel thread (NFS, iSCSI) */
	__u32 pad;
	char comm[XCTL_COMM_LEN]; /* of last */
};

/* Addresses in network order, ports in host order; IPv4 in the first 4 bytes. */
struct xctl_flow {
	__u64 cookie; /* socket cookie; 0 where the kernel gives none */
	__u32 netns; /* inode */
	__u16 family; /* AF_INET, AF_INET6 */
	__u16 lport;
	__u16 rport;
	__u8 state; /* TCP_ESTABLISHED, … */
	__u8 ca_state; /* TCP_CA_Open … TCP_CA_Loss */
	__u32 pad;
	__u8 laddr[16];
	__u8 raddr[16];
};

struct xctl_tcp_state {
	__u64 bytes_acked;
	__u64 bytes_received;
	__u32 snd_una;
	__u32 snd_nxt;
	__u32 rcv_nxt;
	__u32 snd_wnd; /* what the peer advertised, bytes */
	__u32 srtt_us;
	__u32 rto_us;
	__u32 packets_out; /* segments sent and not yet acked */
	__u32 unacked_bytes; /* snd_nxt - snd_una */
	__u32 write_queue_bytes; /* written by the program and not yet acked: write_seq - snd_una */
	__u32 rcv_queue_bytes; /* received and not yet read by the program */
	__u32 retransmits; /* in a row, for the oldest segment (icsk_retransmits) */
	__u32 total_retrans; /* segments, over the connection's life */
	__u32 backoff; /* RTO doublings in a row (icsk_backoff) */
	__u32 probes_out; /* zero window probes without an answer */
	__u32 last_rcv_ms; /* since anything was received on it */
	__u32 last_snd_ms; /* since data was sent on it */
	__u32 sk_err;
	__u32 sk_shutdown;
};

struct xctl_tcp {
	struct xctl_hdr hdr; /* pid: the owner's, 0 when unknown */
	struct xctl_flow flow;
	struct xctl_owner owner;
	struct xctl_tcp_state tcp;
	__u64 since_ns; /* start of the present trouble (first retransmit, window closed); 0 when none */
	__u64 latency_ns; /* connect */
	__u32 err; /* connect failed, reset: errno */
	__u32 retrans_events; /* retransmits seen by the probe on this socket */
	__u32 timeout_events; /* of these, by RTO */
	__u32 suppressed; /* updates folded into this one */
};

#endif
