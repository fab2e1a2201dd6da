/*
 * A double of libnccl.so.2: the true signatures, ncclUniqueId by value above all, and nothing behind them. A
 * communicator that is destroyed is the first to be given out again, so that addresses are used twice at once.
 */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define EXPORT __attribute__((visibility("default"), noinline))
#define MAX_COMMS 64

typedef enum { ncclSuccess = 0, ncclInvalidArgument = 4, ncclInProgress = 7 } ncclResult_t;
typedef struct { char internal[128]; } ncclUniqueId;
typedef struct ncclComm { int rank, nranks, used; } *ncclComm_t;
typedef struct ncclConfig { size_t size; unsigned magic, version; int blocking; } ncclConfig_t;
typedef struct CUstream_st *cudaStream_t;
typedef int ncclDataType_t;
typedef int ncclRedOp_t;

static struct ncclComm comms[MAX_COMMS];

static ncclResult_t make(ncclComm_t *comm, int nranks, int rank)
{
	if (comm == NULL || nranks < 1 || rank < 0 || rank >= nranks) return ncclInvalidArgument;
	for (int i = 0; i < MAX_COMMS; i++) {
		if (comms[i].used) continue;
		comms[i] = (struct ncclComm){ .rank = rank, .nranks = nranks, .used = 1 };
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

EXPORT ncclResult_t ncclCommInitRank(ncclComm_t *comm, int nranks, ncclUniqueId id, int rank)
{
	// As others do, it says through an environment variable how long the others take.
	const char *slow = getenv("FAKE_NCCL_INIT_HANGS");
	while (slow != NULL && slow[0] == '1') __asm__ volatile("pause");
	return id.internal[127] == 0 ? make(comm, nranks, rank) : ncclInvalidArgument;
}

EXPORT ncclResult_t ncclCommInitRankConfig(ncclComm_t *comm, int nranks, ncclUniqueId id, int rank, ncclConfig_t *config)
{
	ncclResult_t result = id.internal[127] == 0 ? make(comm, nranks, rank) : ncclInvalidArgument;
	return result == ncclSuccess && config != NULL && config->blocking == 0 ? ncclInProgress : result;
}

EXPORT ncclResult_t ncclCommInitRankScalable(ncclComm_t *comm, int nranks, int rank, int count, ncclUniqueId *ids,
					     ncclConfig_t *config)
{
	(void)config;
	return count > 0 && ids != NULL ? make(comm, nranks, rank) : ncclInvalidArgument;
}

EXPORT ncclResult_t ncclCommInitAll(ncclComm_t *all, int count, const int *devices)
{
	(void)devices;
	for (int i = 0; i < count; i++)
		if (make(&all[i], count, i) != ncclSuccess) return ncclInvalidArgument;
	return ncclSuccess;
}

EXPORT ncclResult_t ncclCommSplit(ncclComm_t comm, int color, int key, ncclComm_t *new, ncclConfig_t *config)
{
	(void)key;
	(void)config;
	*new = NULL;
	return color < 0 ? ncclSuccess : make(new, comm->nranks, comm->rank);
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
