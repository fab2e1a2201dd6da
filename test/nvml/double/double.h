/*
 * A stand-in for libnvidia-ml.so.1: NVML's ABI, no GPU. What it answers is in a scenario file, $XCTL_NVML_SCENARIO,
 * that it reads again whenever the file has changed, also in the middle of a call that hangs. The format is told in
 * scenario.ts beside this file. Symbols that an old library lacks are left out by the linker (library.ts).
 *
 *     scenario.c   the file: read, parsed, read again       library.c    the library itself, and how each call begins
 *     device.c     what a GPU is, and its MIG layout        figures.c    what it does now
 *     counts.c     errors, replaced rows, NVLinks, fields   processes.c  who uses it
 *     events.c     the event set
 */
#ifndef XCTL_NVML_DOUBLE_H
#define XCTL_NVML_DOUBLE_H

#include <stdint.h>
#include <string.h>

#include "abi.h"

#define MAX_GPUS 32
#define MAX_PROCS 256
#define MAX_MIG 8
#define MAX_EVENTS 256
#define MAX_HANGS 16
#define MAX_REFUSED 32

struct proc {
	unsigned pid, gi, ci, sm, mem;
	unsigned long long bytes;
};

struct mig {
	unsigned gi, ci, slices;
	unsigned long long mib;
};

struct gpu {
	/* The code of every call about it: 0, or that of a GPU that is lost. */
	int code;
	unsigned util, util_mem, temp, power_mw, limit_mw, sm_mhz, mem_mhz, pcie_gen, pcie_width, replays;
	unsigned compute_mode, virt_mode, links, links_down, nvlink5, serial;
	unsigned long long total, used, reserved, reasons, ecc[4], crc, recoveries;
	unsigned remap[4];
	int mig_on, mig_pending, migs, procs;
	struct mig mig[MAX_MIG];
	struct proc proc[MAX_PROCS];
};

struct event {
	/* `count`: so many of the same, one right after the other. */
	unsigned seq, gpu, gi, ci, count;
	unsigned long long type, data;
};

struct hang {
	int gpu;
	char name[80];
};

struct refusal {
	int code;
	char name[80];
};

struct scenario {
	int init, calls, gpus, hangs, events, stride, refusals;
	unsigned generation, refresh_ms;
	char driver[80];
	struct refusal refused[MAX_REFUSED];
	struct hang hang[MAX_HANGS];
	struct event event[MAX_EVENTS];
	struct gpu gpu[MAX_GPUS];
};

/* As of now; read with the lock held, that is between the beginning of a call and leave(). */
extern struct scenario now;

/* Reads the scenario if it has changed; with the lock held. */
void refresh(void);

/* The beginnings of calls: each takes the lock, and waits for as long as the scenario says. */
nvmlReturn_t library(const char *name);
nvmlReturn_t about(const char *name, nvmlDevice_t device, struct gpu **g);
/* Every call ends so. */
nvmlReturn_t leave(nvmlReturn_t code);
/* Without the lock: others go on meanwhile. */
void pause_ms(unsigned ms);

/* The code that the scenario gives for a function or a `field:ID`; 0: it is not refused. */
int refusal(const char *name);
struct mig *mig_of(struct gpu *g, nvmlDevice_t device);
int index_of(nvmlDevice_t device);
nvmlReturn_t text(char *out, unsigned size, const char *value);
uint64_t now_ms(void);

/* One figure of a GPU into one place. */
#define FIGURE(name, type, body)                              \
	nvmlReturn_t name(nvmlDevice_t device, type *out)     \
	{                                                     \
		struct gpu *g;                                \
		nvmlReturn_t code = about(#name, device, &g); \
                                                              \
		if (code) return leave(code);                 \
		body;                                         \
		return leave(NVML_SUCCESS);                   \
	}

#endif
