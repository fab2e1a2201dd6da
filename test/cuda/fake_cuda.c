/*
 * A double of libcuda.so.1 with the calls that wait for a GPU. A stream and an event are each the address of a word:
 * as long as it is not 0 the GPU is busy, and the caller spins, as it does in life.
 */
#include <stddef.h>

#define EXPORT __attribute__((visibility("default"), noinline))

typedef int CUresult;
typedef struct CUstream_st *CUstream;
typedef struct CUevent_st *CUevent;

/* Of the context. */
__attribute__((visibility("default"))) volatile int fake_cuda_busy;

static CUresult spin(const volatile int *busy)
{
	while (busy != NULL && *busy != 0) __asm__ volatile("pause");
	return 0;
}

EXPORT CUresult cuInit(unsigned flags) { return flags == 0 ? 0 : 1; }

EXPORT CUresult cuStreamSynchronize(CUstream stream)
{
	return spin((const volatile int *)stream);
}

EXPORT CUresult cuEventSynchronize(CUevent event)
{
	return event == NULL ? 400 : spin((const volatile int *)event);
}

EXPORT CUresult cuCtxSynchronize(void) { return spin(&fake_cuda_busy); }
