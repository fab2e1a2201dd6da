/*
 * A double of libnccl.so.2: the true signatures, ncclUniqueId by value above all, and nothing behind them. A
 * communicator that is destroyed is the first to be given out again, so that addresses are used twice at once.
 *
 * Only a split is true: ranks meet in the memory behind the descriptor FAKE_NCCL_NET, wait for one another, and come
 * out in the order of NCCL's manual.
 */
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default"), noinline))
#define MAX_COMMS 64
#define MAX_RANKS 64
#define BOARDS 256

typedef enum { ncclSuccess = 0, ncclInvalidArgument = 4, ncclInProgress = 7 } ncclResult_t;
typedef struct { char internal[128]; } ncclUniqueId;
typedef struct ncclConfig { size_t size; unsigned magic, version; int blocking; } ncclConfig_t;
// What all ranks of a communicator say in one of its splits.
struct board { _Atomic uint64_t name; _Atomic int came; struct { int color, key; } said[MAX_RANKS]; };
typedef struct ncclComm {
	int rank, nranks, used;
	uint64_t name; // the same in all ranks
	int splits;
	// A split that goes on after its call has returned.
	struct board *late;
	struct ncclComm **late_to;
} *ncclComm_t;
typedef struct CUstream_st *cudaStream_t;
typedef int ncclDataType_t;
typedef int ncclRedOp_t;

static struct ncclComm comms[MAX_COMMS];

static uint64_t name_of(uint64_t from, const void *bytes, size_t count)
{
	const unsigned char *byte = bytes;
	for (size_t i = 0; i < count; i++) from = (from ^ byte[i]) * 0x100000001b3ULL;
	return from | 1;
}

static ncclResult_t make(ncclComm_t *comm, int nranks, int rank, uint64_t name)
{
	if (comm == NULL || nranks < 1 || rank < 0 || rank >= nranks) return ncclInvalidArgument;
	for (int i = 0; i < MAX_COMMS; i++) {
		if (comms[i].used) continue;
		comms[i] = (struct ncclComm){ .rank = rank, .nranks = nranks, .used = 1, .name = name };
		*comm = &comms[i];
		return ncclSuccess;
	}
	return ncclInvalidArgument;
}

EXPORT ncclResult_t ncclGetUniqueId(ncclUniqueId *id)
{
	memset(id, 0, sizeof(*id));
	return getrandom(id->internal, 8, 0) == 8 ? ncclSuccess : ncclInvalidArgument;
}

static ncclResult_t join(ncclComm_t *comm, int nranks, const ncclUniqueId *id, int rank)
{
	return id->internal[127] == 0 ? make(comm, nranks, rank, name_of(0, id, sizeof(*id))) : ncclInvalidArgument;
}

EXPORT ncclResult_t ncclCommInitRank(ncclComm_t *comm, int nranks, ncclUniqueId id, int rank)
{
	// As others do, it says through an environment variable how long the others take.
	const char *slow = getenv("FAKE_NCCL_INIT_HANGS");
	while (slow != NULL && slow[0] == '1') __asm__ volatile("pause");
	return join(comm, nranks, &id, rank);
}

EXPORT ncclResult_t ncclCommInitRankConfig(ncclComm_t *comm, int nranks, ncclUniqueId id, int rank, ncclConfig_t *config)
{
	ncclResult_t result = join(comm, nranks, &id, rank);
	return result == ncclSuccess && config != NULL && config->blocking == 0 ? ncclInProgress : result;
}

EXPORT ncclResult_t ncclCommInitRankScalable(ncclComm_t *comm, int nranks, int rank, int count, ncclUniqueId *ids,
					     ncclConfig_t *config)
{
	(void)config;
	return count > 0 && ids != NULL ? join(comm, nranks, &ids[0], rank) : ncclInvalidArgument;
}

EXPORT ncclResult_t ncclCommInitAll(ncclComm_t *all, int count, const int *devices)
{
	uint64_t name;
	(void)devices;
	if (getrandom(&name, sizeof(name), 0) != sizeof(name)) return ncclInvalidArgument;
	for (int i = 0; i < count; i++)
		if (make(&all[i], count, i, name) != ncclSuccess) return ncclInvalidArgument;
	return ncclSuccess;
}

// Where ranks meet; a process that was given nothing to meet others in has only itself.
static struct board *boards(void)
{
	static struct board *all;
	if (all != NULL) return all;
	const char *net = getenv("FAKE_NCCL_NET");
	size_t bytes = BOARDS * sizeof(struct board);
	int fd = net == NULL ? -1 : atoi(net);
	if (fd >= 0 && ftruncate(fd, (off_t)bytes) != 0) abort();
	all = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | (fd < 0 ? MAP_ANONYMOUS : 0), fd, 0);
	if (all == MAP_FAILED) abort();
	return all;
}

static struct board *board_of(uint64_t name)
{
	for (size_t i = 0; i < BOARDS; i++) {
		struct board *board = &boards()[(name + i) % BOARDS];
		uint64_t none = 0;
		if (atomic_compare_exchange_strong(&board->name, &none, name) || none == name) return board;
	}
	abort();
}

static ncclResult_t come_out(ncclComm_t comm, const struct board *board, ncclComm_t *new)
{
	int color = board->said[comm->rank].color, key = board->said[comm->rank].key, rank = 0, nranks = 0;
	if (color == -1) return ncclSuccess;
	for (int i = 0; i < comm->nranks; i++) {
		if (board->said[i].color != color) continue;
		nranks++;
		if (board->said[i].key < key || (board->said[i].key == key && i < comm->rank)) rank++;
	}
	return make(new, nranks, rank, name_of(board->name, &color, sizeof(color)));
}

EXPORT ncclResult_t ncclCommSplit(ncclComm_t comm, int color, int key, ncclComm_t *new, ncclConfig_t *config)
{
	if (new == NULL || comm->nranks > MAX_RANKS) return ncclInvalidArgument;
	*new = NULL;
	comm->splits++;
	struct board *board = board_of(name_of(comm->name, &comm->splits, sizeof(comm->splits)));
	board->said[comm->rank].color = color;
	board->said[comm->rank].key = key;
	atomic_fetch_add(&board->came, 1);
	if (config != NULL && config->blocking == 0) {
		comm->late = board;
		comm->late_to = new;
		return ncclInProgress;
	}
	while (board->came < comm->nranks) usleep(500);
	return come_out(comm, board, new);
}

EXPORT ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t *result)
{
	struct board *late = comm->late;
	*result = ncclSuccess;
	if (late == NULL) return ncclSuccess;
	*result = late->came < comm->nranks ? ncclInProgress : come_out(comm, late, comm->late_to);
	if (*result != ncclInProgress) comm->late = NULL;
	return ncclSuccess;
}

EXPORT ncclResult_t ncclCommShrink(ncclComm_t comm, int *excluded, int count, ncclComm_t *new, ncclConfig_t *config,
				   int flags)
{
	int rank = comm->rank;
	(void)config, (void)flags;
	if (new == NULL || excluded == NULL || count < 1) return ncclInvalidArgument;
	*new = NULL;
	for (int i = 0; i < count; i++) {
		if (excluded[i] == comm->rank) return ncclInvalidArgument;
		if (excluded[i] < comm->rank) rank--;
	}
	return make(new, comm->nranks - count, rank, name_of(comm->name, excluded, (size_t)count * sizeof(int)));
}

EXPORT ncclResult_t ncclCommUserRank(const ncclComm_t comm, int *rank)
{
	if (comm == NULL || !comm->used || rank == NULL) return ncclInvalidArgument;
	*rank = comm->rank;
	return ncclSuccess;
}

EXPORT ncclResult_t ncclCommCount(const ncclComm_t comm, int *count)
{
	if (comm == NULL || !comm->used || count == NULL) return ncclInvalidArgument;
	*count = comm->nranks;
	return ncclSuccess;
}

// What is so, without a call that anybody looks at.
EXPORT void fake_nccl_place(ncclComm_t comm, int *rank, int *nranks)
{
	*rank = comm == NULL || !comm->used ? -1 : comm->rank;
	*nranks = comm == NULL || !comm->used ? -1 : comm->nranks;
}

EXPORT ncclResult_t ncclCommFinalize(ncclComm_t comm) { return comm->used ? ncclSuccess : ncclInvalidArgument; }

static ncclResult_t end(ncclComm_t comm)
{
	comm->used = 0;
	return ncclSuccess;
}

EXPORT ncclResult_t ncclCommDestroy(ncclComm_t comm) { return end(comm); }

EXPORT ncclResult_t ncclCommAbort(ncclComm_t comm)
{
	comm->rank = -1;
	return end(comm);
}

/* A body of its own each: the linker folds nothing, but a compiler may make one of two that are alike. */
static volatile size_t enqueued[8];
#define ENQUEUE(n) (enqueued[n] += comm->used ? count : 0, comm->used ? ncclSuccess : ncclInvalidArgument)

EXPORT ncclResult_t ncclAllReduce(const void *send, void *recv, size_t count, ncclDataType_t type, ncclRedOp_t op,
				  ncclComm_t comm, cudaStream_t stream)
{
	(void)send, (void)recv, (void)type, (void)op, (void)stream;
	return ENQUEUE(0);
}

EXPORT ncclResult_t ncclReduceScatter(const void *send, void *recv, size_t count, ncclDataType_t type, ncclRedOp_t op,
				      ncclComm_t comm, cudaStream_t stream)
{
	(void)send, (void)recv, (void)type, (void)op, (void)stream;
	return ENQUEUE(1);
}

EXPORT ncclResult_t ncclBroadcast(const void *send, void *recv, size_t count, ncclDataType_t type, int root,
				  ncclComm_t comm, cudaStream_t stream)
{
	(void)send, (void)recv, (void)type, (void)root, (void)stream;
	return ENQUEUE(2);
}

EXPORT ncclResult_t ncclAllGather(const void *send, void *recv, size_t count, ncclDataType_t type, ncclComm_t comm,
				  cudaStream_t stream)
{
	(void)send, (void)recv, (void)type, (void)stream;
	return ENQUEUE(3);
}

#ifndef WITHOUT_REDUCE
EXPORT ncclResult_t ncclReduce(const void *send, void *recv, size_t count, ncclDataType_t type, ncclRedOp_t op,
			       int root, ncclComm_t comm, cudaStream_t stream)
{
	(void)send, (void)recv, (void)type, (void)op, (void)root, (void)stream;
	return ENQUEUE(4);
}
#endif

EXPORT ncclResult_t ncclSend(const void *send, size_t count, ncclDataType_t type, int peer, ncclComm_t comm,
			     cudaStream_t stream)
{
	(void)send, (void)type, (void)peer, (void)stream;
	return ENQUEUE(5);
}

EXPORT ncclResult_t ncclRecv(void *recv, size_t count, ncclDataType_t type, int peer, ncclComm_t comm,
			     cudaStream_t stream)
{
	(void)recv, (void)type, (void)peer, (void)stream;
	return ENQUEUE(6);
}
