/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The event ABI: everything that crosses from the kernel to src/kernel/.
 *
 * src/kernel/abi.generated.ts is written from the BTF of this header
 * (scripts/gen-abi.ts) and the build fails when the two differ, so a field is
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

/* ---- process ---------------------------------------------------------- */

struct xctl_process {
	struct xctl_hdr hdr;
	__u64 start_ns; /* of the thread group leader */
	__u64 parent_start_ns;
	__u64 cgroup_id; /* of the cgroup v2 hierarchy */
	__u32 ppid; /* real parent's tgid */
	__u32 uid;
	__u32 exit_code; /* exit: as wait(2) gives it: code << 8 | signal | 0x80 if core */
	__u32 pid_ns; /* inode of the pid namespace */
	__u32 ns_pid; /* tgid as seen in that namespace */
	__u32 cmdline_len; /* exec: bytes used of cmdline; arguments are separated by NUL */
	char comm[XCTL_COMM_LEN];
};

/* exec, seen */
struct xctl_process_exec {
	struct xctl_process p;
	char cmdline[XCTL_CMDLINE_LEN];
};

/* exit by the OOM killer: parent and leaf cgroup name of the victim, "parent/leaf" */
struct xctl_process_oom {
	struct xctl_process p;
	__u64 rss_bytes; /* of the victim, when it was chosen */
	__u64 limit_bytes; /* of the group that ran out; 0: the node did */
	__u64 usage_bytes;
	char cgroup[XCTL_CGROUP_LEN];
	char limited[XCTL_CGROUP_LEN]; /* the group whose limit it was: the victim's or one above */
};

/* ---- tcp -------------------------------------------------------------- */

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

/* ---- waits ------------------------------------------------------------ */

/* What a sleeping thread sleeps in. */
enum xctl_wait_kind {
	XCTL_W_RUN = 1, /* on a CPU or runnable */
	XCTL_W_SLEEP = 2, /* nanosleep, pause, sigwait: by design */
	XCTL_W_FUTEX = 3, /* condition, semaphore, or a lock whose owner did not check */
	XCTL_W_LOCK = 4, /* futex with a checked owner */
	XCTL_W_JOIN = 5, /* pthread_join of owner_tid */
	XCTL_W_PIPE = 6,
	XCTL_W_UNIX = 7,
	XCTL_W_TCP = 8,
	XCTL_W_ACCEPT = 9, /* accept(2) on a listening socket: by design */
	XCTL_W_POLL = 10, /* poll, select */
	XCTL_W_EPOLL = 11,
	XCTL_W_CHILD = 12, /* wait4, waitid */
	XCTL_W_FILE_LOCK = 13, /* flock, fcntl */
	XCTL_W_DISK = 14, /* uninterruptible, on a file or device */
	XCTL_W_DEVICE = 15, /* ioctl or read on a character device */
	XCTL_W_STOPPED = 16, /* SIGSTOP and the like */
	XCTL_W_TRACED = 17, /* by a debugger: owner_pid */
	XCTL_W_FROZEN = 18, /* cgroup freezer */
	XCTL_W_IO_URING = 19,
	XCTL_W_AIO = 20,
	XCTL_W_EVENTFD = 21,
	XCTL_W_SOCKET = 22, /* another family: UDP, netlink, vsock, … */
	XCTL_W_SYSV = 23, /* semop, msgrcv */
	XCTL_W_TTY = 24,
	XCTL_W_KERNEL = 25, /* uninterruptible, no object known: a lock inside the kernel */
	XCTL_W_OTHER = 26,
};

enum xctl_wait_op {
	XCTL_OP_NONE = 0,
	XCTL_OP_READ = 1,
	XCTL_OP_WRITE = 2,
	XCTL_OP_CONNECT = 3,
	XCTL_OP_IOCTL = 4,
	XCTL_OP_SYNC = 5,
};

/* XCTL_WAIT. object is what other records name the same thing by. */
struct xctl_wait {
	struct xctl_hdr hdr;
	__u64 start_ns; /* of the process */
	__u64 since_ns; /* when it last left a CPU, by the scheduler's own account */
	__u64 switches; /* nvcsw + nivcsw: equal in two passes = one continuous sleep */
	__u64 run_ns; /* CPU time of this thread so far */
	__u64 object; /* futex address, pipe or socket inode, epoll inode, file inode */
	__u64 peer; /* unix: peer's socket inode */
	__u32 tid;
	__s32 syscall; /* -1 when not in one */
	__u32 state; /* task->__state */
	__s32 fd;
	__u32 owner_tid; /* lock, join: holder's tid; child: awaited pid; traced: tracer */
	__u32 dev; /* s_dev or i_rdev of the file, major << 20 | minor */
	__u16 wait; /* enum xctl_wait_kind */
	__u16 op; /* enum xctl_wait_op */
	__u16 readers; /* pipe */
	__u16 writers;
	__u32 futex_word;
	__u32 nfds; /* poll: descriptors in the set, as far as they were counted */
	__u32 threads; /* in the process */
	__u32 flags; /* XCTL_WF_* */
	__u64 delay_ns; /* runnable without a CPU so far, the present wait included; 0 where not kept */
	__u32 cpu; /* that it runs on, is queued on or ran on last */
	__u32 cpus; /* that it may run on */
	char comm[XCTL_COMM_LEN]; /* of the thread */
	char name[XCTL_NAME_LEN]; /* of an anonymous inode: [eventfd], [infinibandevent], … */
	struct xctl_flow flow; /* tcp */
	struct xctl_tcp_state tcp;
};

/* XCTL_WAIT_MEMBER */
struct xctl_wait_member {
	struct xctl_hdr hdr;
	__u64 object;
	__u64 peer;
	__u32 tid;
	__s32 fd;
	__u16 wait; /* enum xctl_wait_kind: what the descriptor is */
	__u16 op;
	__u32 pad;
	char name[XCTL_NAME_LEN];
	struct xctl_flow flow;
	struct xctl_tcp_state tcp;
};

#define XCTL_WF_IOWAIT 1u
#define XCTL_WF_SIMPLE 2u /* kernel cannot read user memory from the iterator: futex owners unknown */
#define XCTL_WF_MEMBERS_CUT 4u /* the poll set is larger than what was walked */
#define XCTL_WF_MEMSTALL 8u /* reclaims memory, or is throttled for it (PSI's own mark) */
#define XCTL_WF_ON_CPU 16u
#define XCTL_WF_PATH 32u /* no descriptor: dev is where a path walk has come to, or of the page that it waits for */

/* XCTL_WAIT_SAME */
struct xctl_wait_same {
	struct xctl_hdr hdr;
	__u32 tid;
	__u32 pad;
};

/* XCTL_WAIT_HOLDER: hdr.pid has the object open. */
struct xctl_wait_holder {
	struct xctl_hdr hdr;
	__u64 start_ns;
	__u64 object; /* inode, as in xctl_wait.object or .peer */
	__s32 fd;
	__u32 mode; /* FMODE_READ 1, FMODE_WRITE 2 */
	__u16 wait; /* XCTL_W_PIPE, XCTL_W_UNIX, XCTL_W_TCP */
	__u16 pad;
	__u32 pad2;
	struct xctl_flow flow; /* tcp: as this holder sees it, so local and remote are swapped */
	struct xctl_tcp_state tcp; /* tcp: the sequence numbers prove that it is the other end */
	char comm[XCTL_COMM_LEN];
};

/* ---- block ------------------------------------------------------------- */

enum xctl_block_op {
	XCTL_B_READ = 1,
	XCTL_B_WRITE = 2,
	XCTL_B_FLUSH = 3,
	XCTL_B_DISCARD = 4,
	XCTL_B_OTHER = 5,
};

#define XCTL_BF_WRITEBACK 1u /* the kernel wrote a cache back: no process submitted it, its cgroup did */
#define XCTL_BF_METADATA 2u

/* XCTL_BLOCK_SLOW, _ERROR, _INFLIGHT. hdr.pid: who submitted it, 0 when that is not proven. */
struct xctl_block_rq {
	struct xctl_hdr hdr;
	__u64 start_ns; /* of the submitting process */
	__u64 cgroup_id; /* that the request is charged to; 0 unknown */
	__u64 sector; /* of 512 bytes, on the disk */
	__u64 age_ns; /* since it was made: until it completed, or until now */
	__u64 device_ns; /* of that, with the driver; 0 unknown */
	__u32 dev; /* of the disk, major << 20 | minor */
	__u32 part; /* of the partition or disk that was written to, as dev; 0 unknown */
	__u32 bytes;
	__u32 status; /* blk_status_t */
	__u16 op; /* enum xctl_block_op */
	__u16 flags; /* XCTL_BF_* */
	__u32 suppressed; /* like it, not told of since the last one */
	char comm[XCTL_COMM_LEN]; /* of the submitter */
	char cgroup[XCTL_CGROUP_LEN]; /* "parent/leaf" */
};

/* XCTL_BLOCK_QUEUE */
struct xctl_block_queue {
	struct xctl_hdr hdr;
	__u64 oldest_ns; /* age of the oldest request; 0: none */
	__u32 dev;
	__u32 in_flight; /* with the driver, or on the way to it */
	__u32 depth; /* requests that the queue can hold */
	__u32 told; /* XCTL_BLOCK_INFLIGHT records before this one */
};

/*
 * Latencies of completed requests in units of 1024 ns: 0-3 a slot each, from there on 4 slots an
 * octave; the last one ends at 275 s.
 */
#define XCTL_LATENCY_SLOTS 108
/* Of requests that took less than 10 ms one in so many is counted, for all of them. */
#define XCTL_FAST_WEIGHT 8
#define XCTL_LATENCY_OPS 2 /* read, write */

/* Value of the per-CPU array `xctl_block_latency`; where a device's is, block/latency.bpf.h says. */
struct xctl_block_latency {
	__u32 dev; /* disk or partition, major << 20 | minor; 0: free, on this CPU */
	__u32 pad;
	__u32 counts[XCTL_LATENCY_OPS * XCTL_LATENCY_SLOTS];
};

/* Value of the array `xctl_block_config`. */
struct xctl_block_config {
	__u64 slow_ns; /* a request that took longer is told of; 0: 500 ms */
	__s32 fd; /* of the process that reads: an open file in /sys/block/NAME, the disk to look at */
	__u32 pad;
};

/* ---- host -------------------------------------------------------------- */

/* XCTL_CGROUP_CPU: told when something changed since the last pass, and for each process in it. */
struct xctl_cgroup_cpu {
	struct xctl_hdr hdr; /* pid: a process that the limit holds */
	__u64 start_ns;
	__u64 cgroup_id; /* of the group with the limit, in its hierarchy */
	__u64 quota_ns;
	__u64 period_ns;
	__u64 periods; /* so far */
	__u64 throttled_periods;
	__u64 throttled_ns;
	__u32 levels; /* above the process's own group */
	__u32 throttled; /* now */
	char cgroup[XCTL_CGROUP_LEN]; /* "parent/leaf" */
};

/* XCTL_CGROUP_MEMORY */
struct xctl_cgroup_memory {
	struct xctl_hdr hdr; /* pid: a process in it */
	__u64 start_ns;
	__u64 cgroup_id;
	__u64 usage_bytes;
	__u64 limit_bytes; /* memory.max; all ones: none */
	__u64 high_bytes; /* memory.high; all ones: none */
	__u64 high_events; /* times that usage went over high, so far; of the limit, and so on */
	__u64 max_events;
	__u64 oom_events;
	__u64 oom_kills;
	__u32 levels;
	__u32 pad;
	char cgroup[XCTL_CGROUP_LEN];
};

/* XCTL_MEMORY_USE */
struct xctl_memory_use {
	struct xctl_hdr hdr;
	__u64 start_ns;
	__u64 rss_bytes;
	__u64 swap_bytes;
	char comm[XCTL_COMM_LEN];
};

/* ---- files ------------------------------------------------------------- */

/* XCTL_FILE_USER: once a process and device. */
struct xctl_file_user {
	struct xctl_hdr hdr;
	__u64 start_ns;
	__u32 dev; /* s_dev of the filesystem, or of the block or character device itself */
	__u32 mode; /* FMODE_READ 1, FMODE_WRITE 2 of the file that was found */
	__s32 fd;
	__u32 pad;
	char comm[XCTL_COMM_LEN];
};

/* ---- gpu trace --------------------------------------------------------- */

/* Functions of libnccl and libcuda that are looked at. */
enum xctl_gpu_call {
	XCTL_CALL_INIT_RANK = 1,
	XCTL_CALL_INIT_RANK_CONFIG = 2,
	XCTL_CALL_INIT_RANK_SCALABLE = 3,
	XCTL_CALL_INIT_ALL = 4,
	XCTL_CALL_SPLIT = 5,
	XCTL_CALL_FINALIZE = 6,
	XCTL_CALL_DESTROY = 7,
	XCTL_CALL_ABORT = 8,
	XCTL_CALL_SHRINK = 9,
	XCTL_CALL_STREAM_SYNC = 16,
	XCTL_CALL_EVENT_SYNC = 17,
	XCTL_CALL_CTX_SYNC = 18,
};

enum xctl_comm_state {
	XCTL_COMM_INIT = 1, /* a thread is in the call that makes it */
	XCTL_COMM_READY = 2,
	XCTL_COMM_FAILED = 3, /* that call gave no communicator */
	XCTL_COMM_FINALIZED = 4,
	XCTL_COMM_DESTROYED = 5,
	XCTL_COMM_ABORTED = 6,
};

/* What a rank said in ncclCommSplit: which rank that makes it depends on what all others of the parent said. */
struct xctl_nccl_split {
	__u64 parent; /* its address in the process */
	__u64 parent_id;
	__s32 parent_rank; /* -1 unknown */
	__s32 parent_nranks; /* -1 unknown */
	__s32 color; /* -1: of none */
	__s32 key;
	__u32 ordinal; /* which one of the parent's, from 1, the same in all ranks; 0: unknown, and so is all of this */
	__u32 pad;
};

/* XCTL_NCCL_COMM; hdr.pid is the caller. */
struct xctl_nccl_comm {
	struct xctl_hdr hdr;
	__u64 start_ns;
	__u64 comm; /* its address in the process; 0 while it is made, or when it was not */
	__u64 id; /* the same in every rank of one communicator: a hash of its ncclUniqueId; 0 unknown */
	__u64 since_ns; /* the call that made it was entered */
	__u64 collectives; /* enqueued so far */
	__u64 p2p; /* sends and receives enqueued so far */
	__s32 rank; /* -1 unknown */
	__s32 nranks; /* -1 unknown */
	__s32 result; /* ncclResult_t of the call that made it */
	__u32 tid;
	__u16 state; /* enum xctl_comm_state */
	__u16 call; /* enum xctl_gpu_call */
	__u32 pad;
	struct xctl_nccl_split split; /* of ncclCommSplit, when it has returned */
};

/* Key of the hash `xctl_nccl_counts`. */
struct xctl_nccl_key {
	__u64 start_ns;
	__u64 comm;
	__u32 pid;
	__u32 pad;
};

/* Its value. A communicator that was there before the agent has no id, rank or size. */
struct xctl_nccl_count {
	__u64 id;
	__u64 collectives;
	__u64 p2p;
	__u64 last_ns; /* of the last enqueue; 0: none yet */
	__u64 source; /* attachment that counts: a file that was found twice is counted once */
	__s32 rank;
	__s32 nranks;
	__u32 splits; /* made of it so far; XCTL_SPLITS_UNKNOWN */
	__u32 shrinks; /* made of it so far */
};

/* One of its splits failed in this rank: no telling any more which of the other ranks' the next one is. */
#define XCTL_SPLITS_UNKNOWN 0xffffffff

/* Value of the hash `xctl_gpu_waits`, by tid: a thread that is inside a call which waits for the GPU. */
struct xctl_gpu_wait {
	__u64 start_ns; /* of the process */
	__u64 since_ns;
	__u32 pid;
	__u32 call; /* enum xctl_gpu_call */
};

/* Index into the per-CPU array `xctl_gpu_calls`: how often each class of probes ran. */
enum xctl_gpu_class {
	XCTL_GPU_COMM = 0,
	XCTL_GPU_ENQUEUE = 1,
	XCTL_GPU_SYNC = 2,
	XCTL_GPU_ASK = 3,
	XCTL_GPU_CLASS_MAX = 4,
};

/* ---- rdma -------------------------------------------------------------- */

#define XCTL_RDMA_NAME_LEN 64 /* IB_DEVICE_NAME_MAX */

/* A queue pair and its owner (hdr.pid, start_ns, comm); of a port or device without what does not apply. */
struct xctl_rdma_id {
	__u64 start_ns; /* of the process that created it; 0: the kernel's own, or unknown */
	__u32 dev; /* index of the device, which a new name does not change */
	__u32 qpn; /* 0: none is meant */
	__u32 port; /* 0: none is known */
	__u32 netns; /* inode, of the owner; 0 unknown */
	char comm[XCTL_COMM_LEN]; /* of the owner */
	char device[XCTL_RDMA_NAME_LEN];
};

enum xctl_qp_change {
	XCTL_QP_SEEN = 1,
	XCTL_QP_CREATE = 2,
	XCTL_QP_MODIFY = 3,
	XCTL_QP_DESTROY = 4,
	XCTL_QP_ERROR = 5, /* went into ERR without being asked to */
};

/* Which fields of struct xctl_rdma_qp say something. */
#define XCTL_QF_STATE 1u
#define XCTL_QF_LOCAL 2u /* local_gid */
#define XCTL_QF_REMOTE_GID 4u
#define XCTL_QF_REMOTE_LID 8u
#define XCTL_QF_REMOTE_QPN 16u
#define XCTL_QF_TIMEOUT 32u
#define XCTL_QF_RETRY_CNT 64u
#define XCTL_QF_RNR_RETRY 128u
#define XCTL_QF_EXITING 256u /* the owner was ending when it destroyed it */

/* XCTL_RDMA_QP; of a modify only what it sets. */
struct xctl_rdma_qp {
	struct xctl_hdr hdr;
	struct xctl_rdma_id id;
	__u8 local_gid[16];
	__u8 remote_gid[16];
	__u32 remote_qpn;
	__s32 err; /* modify that was refused: the negative errno */
	__u32 flags; /* XCTL_QF_* */
	__u16 remote_lid;
	__u8 change; /* enum xctl_qp_change */
	__u8 type; /* enum ib_qp_type; 255: the driver's own */
	__u8 state; /* enum ib_qp_state */
	__u8 timeout; /* 4.096 us << timeout */
	__u8 retry_cnt;
	__u8 rnr_retry;
	__u32 pad;
};

/* XCTL_RDMA_RETRY */
struct xctl_rdma_retry {
	struct xctl_hdr hdr;
	struct xctl_rdma_id id;
	__u64 since_ns; /* retries without an answer since; 0: it has been answered */
	__u64 total_retries; /* since the first that was seen of this queue pair */
	__u64 total_rnr;
	__u32 retries; /* in this window */
	__u32 timeouts;
	__u32 rnr;
	__u32 retries_left;
};

/* XCTL_RDMA_COMPLETION */
struct xctl_rdma_completion {
	struct xctl_hdr hdr;
	struct xctl_rdma_id id;
	__u32 status; /* enum ib_wc_status */
	__u32 vendor_err;
};

/* XCTL_RDMA_ASYNC */
struct xctl_rdma_async {
	struct xctl_hdr hdr;
	struct xctl_rdma_id id;
	__u32 event; /* enum ib_event_type */
	__u32 pad;
};

/* XCTL_RDMA_CM; addresses as in struct xctl_flow. */
struct xctl_rdma_cm {
	struct xctl_hdr hdr;
	struct xctl_rdma_id id; /* netns: whose addresses these are */
	__u8 laddr[16];
	__u8 raddr[16];
	__u32 event; /* enum rdma_cm_event_type */
	__s32 status;
	__u16 family; /* AF_INET, AF_INET6, AF_IB; 0 unknown */
	__u16 lport;
	__u16 rport;
	__u16 pad;
};

/* Key of the hash `xctl_rdma_memory`. */
struct xctl_rdma_memory_key {
	__u64 start_ns;
	__u32 pid;
	__u32 pad;
};

/* Its value: what a process has registered. */
struct xctl_rdma_memory {
	__u64 bytes;
	__u64 regions;
};

/* Value of the hash `xctl_rxe_devices`, by index of the device: retries begun by all of its queue pairs. */
struct xctl_rxe_device {
	__u64 counter; /* the device's own, completer_retry_err, as it was last read */
	__u64 first; /* as it was when the agent first read it */
	__u64 told; /* of those since, whose queue pair is known */
};

/* ---- rdma trace -------------------------------------------------------- */

#define XCTL_VERBS_QPS 4

/* XCTL_VERBS_FILE: once a process and descriptor. */
struct xctl_verbs_file {
	struct xctl_hdr hdr;
	__u64 start_ns;
	__u64 handles[XCTL_VERBS_QPS]; /* addresses of its youngest struct ibv_qp in the process; 0: no more */
	__u32 qpns[XCTL_VERBS_QPS];
	__s32 fd;
	__u32 qps; /* that it has in all */
	__u32 driver; /* enum rdma_driver_id */
	__u32 pad;
	char device[XCTL_RDMA_NAME_LEN]; /* empty when it has no queue pair */
};

/* Key of the hash `xctl_posts`. */
struct xctl_posts_key {
	__u64 start_ns;
	__u64 qp; /* address of its struct ibv_qp in the process */
	__u32 pid;
	__u32 pad;
};

/* Its value. */
struct xctl_posts {
	__u64 posts; /* work requests so far */
	__u64 bytes; /* of their scatter/gather lists */
	__u64 cut; /* posts whose list was longer than is looked at: posts and bytes are too low */
	__u64 last_ns;
	__u64 source; /* attachment that counts: a file that was found twice is counted once */
	__u32 qpn;
	__u32 driver; /* enum rdma_driver_id; 0 unknown */
	__s32 outstanding; /* when the kernel's queue pairs were last walked; -1 unknown */
	__u32 known; /* the kernel has such a queue pair in that process: not only the process says so */
	char device[XCTL_RDMA_NAME_LEN];
};

/* Index into the per-CPU array `xctl_verbs_calls`. */
enum xctl_verbs_class {
	XCTL_VERBS_POST = 0,
	XCTL_VERBS_CLASS_MAX = 1,
};

/* ---- losses ----------------------------------------------------------- */

/* Index into the per-CPU array `xctl_lost`; what was dropped where, never in silence. */
enum xctl_lost_reason {
	XCTL_LOST_EVENTS_FULL = 0, /* the ring `xctl_events` had no room */
	XCTL_LOST_CRITICAL_FULL = 1, /* the ring `xctl_critical` had no room */
	XCTL_LOST_STORAGE = 2, /* socket or task storage could not be created (optmem_max, memory) */
	XCTL_LOST_READ = 3, /* memory of the traced task could not be read */
	XCTL_LOST_SEQ_FULL = 4, /* an iterator record did not fit */
	XCTL_LOST_WANTED_FULL = 5, /* more objects waited for than the table holds */
	XCTL_LOST_TABLE_FULL = 6, /* more communicators, threads that wait for a GPU, queue pairs or regions than the table holds */
	XCTL_LOST_RETURN = 7, /* the return of a function was not seen: its probe had no room */
	XCTL_LOST_MAX = 8,
};

#endif
