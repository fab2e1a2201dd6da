/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The event ABI: everything that crosses from the kernel to src/kernel/. The kinds of records and what all begin with are
 * here, the records in events/.
 *
 * src/kernel/abi.generated.ts is written from the BTF of this header
 * (scripts/gen-abi.mjs) and the build fails when the two differ, so a field is
 * added here and nowhere else. Included after vmlinux.h.
 *
 * Rules: natural alignment, no implicit padding, every record starts with
 * struct xctl_hdr, times are nanoseconds of CLOCK_BOOTTIME (the clock that
 * task_struct.start_boottime uses, so that (pid, start) names a process).
 */
#ifndef XCTL_EVENTS_H
#define XCTL_EVENTS_H

#define XCTL_ABI_VERSION 1

#define XCTL_COMM_LEN 16
#define XCTL_CMDLINE_LEN 192
#define XCTL_CGROUP_LEN 128
#define XCTL_NAME_LEN 16

/* What a record is. Values are ABI: append, never renumber. */
enum xctl_kind {
	XCTL_PROCESS_FORK = 1,
	XCTL_PROCESS_EXEC = 2,
	XCTL_PROCESS_EXIT = 3,
	XCTL_PROCESS_OOM_KILL = 4,
	XCTL_PROCESS_SEEN = 5, /* iter/task at start-up: was running before the agent */

	XCTL_TCP_CONNECT = 16, /* SYN_SENT -> ESTABLISHED; latency_ns is set */
	XCTL_TCP_CONNECT_FAILED = 17, /* SYN_SENT -> CLOSE; err is set */
	XCTL_TCP_RETRANSMIT = 18,
	XCTL_TCP_TIMEOUT = 19, /* a retransmit by RTO: icsk_backoff grew */
	XCTL_TCP_RECOVERED = 20, /* everything that was in doubt was acked */
	XCTL_TCP_RESET_RECEIVED = 21,
	XCTL_TCP_RESET_SENT = 22,
	XCTL_TCP_ZERO_WINDOW = 23, /* the peer's window is closed and we have data for it */
	XCTL_TCP_STATE = 24, /* an update of a flow that is in trouble, at most four a second */
	XCTL_TCP_CLOSE = 25,

	XCTL_WAIT = 32, /* iter/task: one thread, what it waits for */
	XCTL_WAIT_SAME = 33, /* iter/task: has not run since the last pass */
	XCTL_WAIT_MEMBER = 35, /* iter/task: one descriptor of the poll set of the next XCTL_WAIT */
	XCTL_WAIT_HOLDER = 34, /* iter/task_file: who holds the object that somebody waits for */

	XCTL_BLOCK_SLOW = 48, /* a request completed, later than the device's limit */
	XCTL_BLOCK_ERROR = 49, /* a request failed; status is set */
	XCTL_BLOCK_INFLIGHT = 50, /* iterator: a request that is with the device now */
	XCTL_BLOCK_QUEUE = 51, /* iterator: a device's queue, after its requests */

	XCTL_CGROUP_CPU = 64, /* iterator: a group with a CPU limit */
	XCTL_CGROUP_MEMORY = 65, /* iterator: a group with a memory limit */
	XCTL_MEMORY_USE = 66, /* iterator: one process's resident memory */

	XCTL_FILE_USER = 80, /* iter/task_file: a process with files open on a device that was asked for */

	XCTL_NCCL_COMM = 96, /* uprobe: a communicator of NCCL is made, ready or gone */

	XCTL_RDMA_QP = 112, /* a queue pair was made, has changed or is gone; iter/task_file: was there before */
	XCTL_RDMA_RETRY = 113, /* what a queue pair had to send again (rxe) */
	XCTL_RDMA_COMPLETION = 114, /* a work request failed (rxe) */
	XCTL_RDMA_ASYNC = 115, /* an asynchronous event of a driver */
	XCTL_RDMA_CM = 116, /* an event of the connection manager */

	XCTL_VERBS_FILE = 128, /* iter/task_file: who has an RDMA device open, and some of its queue pairs */
};

struct xctl_hdr {
	__u64 ts_ns;
	__u32 pid; /* tgid in the initial pid namespace; 0 when nobody is known */
	__u16 kind; /* enum xctl_kind */
	__u16 size; /* of the whole record */
};

#include "events/process.h"
#include "events/tcp.h"
#include "events/waits.h"
#include "events/block.h"
#include "events/host.h"
#include "events/files.h"
#include "events/gpu_trace.h"
#include "events/rdma.h"
#include "events/rdma_trace.h"
#include "events/losses.h"

#endif
