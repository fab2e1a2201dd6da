/*
 * A stand-in for libnvidia-ml.so.1: NVML's ABI, no GPU. What it answers is in a scenario file, $XCTL_NVML_SCENARIO,
 * that it reads again whenever the file has changed, also in the middle of a call that hangs. The format is told in
 * scenario.ts beside this file. Symbols that an old library lacks are left out by the linker (library.ts).
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "abi.h"

#define MAX_GPUS 16
#define MAX_PROCS 256
#define MAX_MIG 8
#define MAX_EVENTS 64
#define MAX_SETS 256
#define MAX_HANGS 16
#define MAX_UNSUPPORTED 32

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
	unsigned seq, gpu, gi, ci;
	unsigned long long type, data;
};

struct hang {
	int gpu;
	char name[80];
};

static struct scenario {
	int init, calls, gpus, hangs, events, stride, unsupported_count;
	unsigned generation, refresh_ms;
	char driver[80];
	char unsupported[MAX_UNSUPPORTED][80];
	struct hang hang[MAX_HANGS];
	struct event event[MAX_EVENTS];
	struct gpu gpu[MAX_GPUS];
} now;

/* What a process list or the samples of one were when the driver looked last. */
static struct {
	int valid, procs;
	uint64_t ms;
	struct proc proc[MAX_PROCS];
} listed[MAX_GPUS];

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct stat seen;
static int users;
static unsigned generation;
/* Of each event set: the last event that it was given. */
static unsigned sets[MAX_SETS], set_count;

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void defaults(struct scenario *s)
{
	memset(s, 0, sizeof(*s));
	s->gpus = 8;
	s->stride = sizeof(nvmlProcessInfo_v2_t);
	s->refresh_ms = 1000;
	strcpy(s->driver, "550.90.07");
	for (int i = 0; i < MAX_GPUS; i++) {
		struct gpu *g = &s->gpu[i];

		g->serial = (unsigned)i;
		g->temp = 30;
		g->power_mw = 70000;
		g->limit_mw = 700000;
		g->sm_mhz = 345;
		g->mem_mhz = 2619;
		g->pcie_gen = 5;
		g->pcie_width = 16;
		g->links = 18;
		g->reasons = 1;
		g->total = 80ull << 30;
		g->reserved = 512ull << 20;
		g->used = 600ull << 20;
	}
}

static void set(struct gpu *g, const char *key, const char *rest)
{
	unsigned long long v[6] = { 0 };
	int n = sscanf(rest, "%llu %llu %llu %llu %llu %llu", v, v + 1, v + 2, v + 3, v + 4, v + 5);

	if (!strcmp(key, "code")) g->code = (int)v[0];
	else if (!strcmp(key, "serial")) g->serial = (unsigned)v[0];
	else if (!strcmp(key, "util")) g->util = (unsigned)v[0], g->util_mem = (unsigned)v[1];
	else if (!strcmp(key, "memory")) g->used = v[0];
	else if (!strcmp(key, "temperature")) g->temp = (unsigned)v[0];
	else if (!strcmp(key, "power")) g->power_mw = (unsigned)v[0], g->limit_mw = n > 1 ? (unsigned)v[1] : g->limit_mw;
	else if (!strcmp(key, "clocks")) g->sm_mhz = (unsigned)v[0], g->mem_mhz = (unsigned)v[1];
	else if (!strcmp(key, "reasons")) g->reasons = v[0];
	else if (!strcmp(key, "ecc")) memcpy(g->ecc, v, sizeof(g->ecc));
	else if (!strcmp(key, "remap")) for (int i = 0; i < 4; i++) g->remap[i] = (unsigned)v[i];
	else if (!strcmp(key, "pcie")) g->pcie_gen = (unsigned)v[0], g->pcie_width = (unsigned)v[1], g->replays = (unsigned)v[2];
	else if (!strcmp(key, "nvlink")) g->links = (unsigned)v[0], g->links_down = (unsigned)v[1], g->crc = v[2], g->recoveries = v[3];
	else if (!strcmp(key, "nvlink5")) g->nvlink5 = (unsigned)v[0];
	else if (!strcmp(key, "mode")) g->compute_mode = (unsigned)v[0], g->virt_mode = (unsigned)v[1];
	else if (!strcmp(key, "mig")) g->mig_on = (int)v[0], g->mig_pending = n > 1 ? (int)v[1] : (int)v[0];
	else if (!strcmp(key, "instance") && g->migs < MAX_MIG)
		g->mig[g->migs++] = (struct mig){ (unsigned)v[0], (unsigned)v[1], (unsigned)v[2], v[3] };
	else if (!strcmp(key, "process") && g->procs < MAX_PROCS)
		g->proc[g->procs++] = (struct proc){ (unsigned)v[0], n > 2 ? (unsigned)v[2] : ~0u, n > 3 ? (unsigned)v[3] : ~0u,
						     (unsigned)v[4], (unsigned)v[5], v[1] };
}

static void parse(struct scenario *s, FILE *f)
{
	char line[512], word[80], key[80];
	int at, gpu, used;

	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "gpu %d %79s %n", &gpu, key, &at) >= 2) {
			for (int i = 0; i < MAX_GPUS; i++)
				if (gpu < 0 || gpu == i) set(&s->gpu[i], key, line + at);
		} else if (sscanf(line, "hang %d %79s", &gpu, word) == 2 && s->hangs < MAX_HANGS) {
			s->hang[s->hangs].gpu = gpu;
			strcpy(s->hang[s->hangs++].name, word);
		} else if (sscanf(line, "unsupported %79s", word) == 1 && s->unsupported_count < MAX_UNSUPPORTED) {
			strcpy(s->unsupported[s->unsupported_count++], word);
		} else if (!strncmp(line, "event ", 6) && s->events < MAX_EVENTS) {
			struct event *e = &s->event[s->events++];

			*e = (struct event){ .gi = ~0u, .ci = ~0u };
			sscanf(line, "event %u %u %llu %llu %u %u", &e->seq, &e->gpu, &e->type, &e->data, &e->gi, &e->ci);
		} else if (sscanf(line, "driver %79s", s->driver) == 1 || sscanf(line, "init %d", &s->init) == 1 ||
			   sscanf(line, "calls %d", &s->calls) == 1 || sscanf(line, "gpus %d", &s->gpus) == 1 ||
			   sscanf(line, "generation %u", &s->generation) == 1 || sscanf(line, "stride %d", &s->stride) == 1 ||
			   sscanf(line, "refresh_ms %u", &s->refresh_ms) == 1 || sscanf(line, " %n%*c", &used) == EOF) {
			continue;
		}
	}
	if (s->gpus > MAX_GPUS) s->gpus = MAX_GPUS;
}

/* With the lock held. */
static void refresh(void)
{
	static struct scenario fresh;
	const char *path = getenv("XCTL_NVML_SCENARIO");
	struct stat st;
	FILE *f;

	memset(&st, 0, sizeof(st));
	if (path && stat(path, &st)) {
		/* The test is over: nothing may hang any more. */
		now.hangs = 0;
		return;
	}
	if (now.gpus && st.st_ino == seen.st_ino && st.st_size == seen.st_size && st.st_mtim.tv_sec == seen.st_mtim.tv_sec &&
	    st.st_mtim.tv_nsec == seen.st_mtim.tv_nsec)
		return;
	defaults(&fresh);
	f = path ? fopen(path, "re") : NULL;
	if (f) {
		parse(&fresh, f);
		fclose(f);
	}
	now = fresh;
	seen = st;
}

static int hangs(int gpu, const char *name)
{
	for (int i = 0; i < now.hangs; i++)
		if ((now.hang[i].gpu < 0 || now.hang[i].gpu == gpu) && (!strcmp(now.hang[i].name, "*") || !strcmp(now.hang[i].name, name)))
			return 1;
	return 0;
}

/* Every call begins so: with the lock, and not before the scenario lets it go on. */
static void enter(int gpu, const char *name)
{
	struct timespec pause = { 0, 2000000 };

	pthread_mutex_lock(&lock);
	refresh();
	while (hangs(gpu, name)) {
		pthread_mutex_unlock(&lock);
		nanosleep(&pause, NULL);
		pthread_mutex_lock(&lock);
		refresh();
	}
}

static nvmlReturn_t leave(nvmlReturn_t code)
{
	pthread_mutex_unlock(&lock);
	return code;
}

static nvmlReturn_t library(const char *name)
{
	enter(-2, name);
	if (users == 0 || generation != now.generation) return NVML_ERROR_UNINITIALIZED;
	return (nvmlReturn_t)now.calls;
}

/* Handles: the GPU's number + 1 in the low bits, that of a MIG instance + 1 above. */
static struct gpu *gpu_of(nvmlDevice_t device, int *index)
{
	*index = (int)((uintptr_t)device & 0xff) - 1;
	return *index >= 0 && *index < MAX_GPUS ? &now.gpu[*index] : NULL;
}

static struct mig *mig_of(struct gpu *g, nvmlDevice_t device)
{
	unsigned i = (unsigned)((uintptr_t)device >> 8);

	return i >= 1 && (int)i <= g->migs ? &g->mig[i - 1] : NULL;
}

static nvmlReturn_t about(const char *name, nvmlDevice_t device, struct gpu **g)
{
	int index;

	*g = gpu_of(device, &index);
	if (!*g) return pthread_mutex_lock(&lock), NVML_ERROR_INVALID_ARGUMENT;
	enter(index, name);
	if (users == 0 || generation != now.generation) return NVML_ERROR_UNINITIALIZED;
	if (now.calls) return (nvmlReturn_t)now.calls;
	if ((*g)->code) return (nvmlReturn_t)(*g)->code;
	for (int i = 0; i < now.unsupported_count; i++)
		if (!strcmp(now.unsupported[i], name)) return NVML_ERROR_NOT_SUPPORTED;
	return NVML_SUCCESS;
}

/* One figure of a GPU into one place. */
#define FIGURE(name, type, body)                             \
	nvmlReturn_t name(nvmlDevice_t device, type *out)    \
	{                                                    \
		struct gpu *g;                               \
		nvmlReturn_t code = about(#name, device, &g); \
                                                             \
		if (code) return leave(code);                \
		body;                                        \
		return leave(NVML_SUCCESS);                  \
	}

static nvmlReturn_t text(char *out, unsigned size, const char *value)
{
	if (size <= strlen(value)) return NVML_ERROR_INSUFFICIENT_SIZE;
	strcpy(out, value);
	return NVML_SUCCESS;
}

/* ---- library */

static nvmlReturn_t init(const char *name)
{
	enter(-2, name);
	if (now.init) return leave((nvmlReturn_t)now.init);
	/* With the driver all that was started before is gone, whoever started it. */
	if (generation != now.generation) users = 0;
	if (users++ == 0) generation = now.generation;
	return leave(NVML_SUCCESS);
}

nvmlReturn_t nvmlInit_v2(void) { return init("nvmlInit_v2"); }
nvmlReturn_t nvmlInit(void) { return init("nvmlInit"); }

nvmlReturn_t nvmlShutdown(void)
{
	enter(-2, "nvmlShutdown");
	if (users == 0) return leave(NVML_ERROR_UNINITIALIZED);
	users--;
	return leave(NVML_SUCCESS);
}

nvmlReturn_t nvmlSystemGetDriverVersion(char *out, unsigned size)
{
	nvmlReturn_t code = library("nvmlSystemGetDriverVersion");

	return leave(code ? code : text(out, size, now.driver));
}

static nvmlReturn_t count(const char *name, unsigned *out)
{
	nvmlReturn_t code = library(name);

	if (!code) *out = (unsigned)now.gpus;
	return leave(code);
}

nvmlReturn_t nvmlDeviceGetCount_v2(unsigned *out) { return count("nvmlDeviceGetCount_v2", out); }
nvmlReturn_t nvmlDeviceGetCount(unsigned *out) { return count("nvmlDeviceGetCount", out); }

static nvmlReturn_t handle(const char *name, unsigned index, nvmlDevice_t *out)
{
	nvmlReturn_t code = library(name);

	if (code) return leave(code);
	if ((int)index >= now.gpus) return leave(NVML_ERROR_INVALID_ARGUMENT);
	if (now.gpu[index].code) return leave((nvmlReturn_t)now.gpu[index].code);
	*out = (nvmlDevice_t)(uintptr_t)(index + 1);
	return leave(NVML_SUCCESS);
}

nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned i, nvmlDevice_t *out) { return handle("nvmlDeviceGetHandleByIndex_v2", i, out); }
nvmlReturn_t nvmlDeviceGetHandleByIndex(unsigned i, nvmlDevice_t *out) { return handle("nvmlDeviceGetHandleByIndex", i, out); }

/* ---- what a GPU is */

nvmlReturn_t nvmlDeviceGetUUID(nvmlDevice_t device, char *out, unsigned size)
{
	struct gpu *g;
	nvmlReturn_t code = about("nvmlDeviceGetUUID", device, &g);
	char value[80];
	struct mig *m;

	if (code) return leave(code);
	m = mig_of(g, device);
	snprintf(value, sizeof(value), "%s-%08x-0000-4000-8000-%08x%04x", m ? "MIG" : "GPU", 0xd0b1e000u + g->serial, g->serial, m ? m->gi * 16 + m->ci : 0);
	return leave(text(out, size, value));
}

nvmlReturn_t nvmlDeviceGetName(nvmlDevice_t device, char *out, unsigned size)
{
	struct gpu *g;
	nvmlReturn_t code = about("nvmlDeviceGetName", device, &g);

	return leave(code ? code : text(out, size, "NVIDIA H100 80GB HBM3"));
}

static nvmlReturn_t pci(const char *name, nvmlDevice_t device, nvmlPciInfo_t *out, size_t size)
{
	struct gpu *g;
	nvmlReturn_t code = about(name, device, &g);
	nvmlPciInfo_t p;

	if (code) return leave(code);
	memset(&p, 0, sizeof(p));
	p.bus = 0x1b + 0x10 * g->serial;
	p.pciDeviceId = 0x233010de;
	snprintf(p.busIdLegacy, sizeof(p.busIdLegacy), "%04X:%02X:%02X.0", p.domain, p.bus, p.device);
	snprintf(p.busId, sizeof(p.busId), "%08X:%02X:%02X.0", p.domain, p.bus, p.device);
	memcpy(out, &p, size);
	return leave(NVML_SUCCESS);
}

nvmlReturn_t nvmlDeviceGetPciInfo_v3(nvmlDevice_t d, nvmlPciInfo_t *out) { return pci("nvmlDeviceGetPciInfo_v3", d, out, sizeof(*out)); }
/* The older ones end before busId, and have reserved words there. */
nvmlReturn_t nvmlDeviceGetPciInfo_v2(nvmlDevice_t d, nvmlPciInfo_t *out) { return pci("nvmlDeviceGetPciInfo_v2", d, out, 36); }
nvmlReturn_t nvmlDeviceGetPciInfo(nvmlDevice_t d, nvmlPciInfo_t *out) { return pci("nvmlDeviceGetPciInfo", d, out, 32); }

FIGURE(nvmlDeviceGetMinorNumber, unsigned, *out = g->serial)
FIGURE(nvmlDeviceGetComputeMode, unsigned, *out = g->compute_mode)
FIGURE(nvmlDeviceGetVirtualizationMode, unsigned, *out = g->virt_mode)
FIGURE(nvmlDeviceGetMaxPcieLinkGeneration, unsigned, *out = 5)
FIGURE(nvmlDeviceGetMaxPcieLinkWidth, unsigned, *out = 16)
FIGURE(nvmlDeviceGetEnforcedPowerLimit, unsigned, *out = g->limit_mw)
FIGURE(nvmlDeviceGetPowerManagementLimit, unsigned, *out = g->limit_mw)

/* ---- MIG */

nvmlReturn_t nvmlDeviceGetMigMode(nvmlDevice_t device, unsigned *current, unsigned *pending)
{
	struct gpu *g;
	nvmlReturn_t code = about("nvmlDeviceGetMigMode", device, &g);

	if (code) return leave(code);
	*current = (unsigned)g->mig_on;
	*pending = (unsigned)g->mig_pending;
	return leave(NVML_SUCCESS);
}

FIGURE(nvmlDeviceGetMaxMigDeviceCount, unsigned, *out = g->mig_on ? 7 : 0)

nvmlReturn_t nvmlDeviceGetMigDeviceHandleByIndex(nvmlDevice_t device, unsigned index, nvmlDevice_t *out)
{
	struct gpu *g;
	nvmlReturn_t code = about("nvmlDeviceGetMigDeviceHandleByIndex", device, &g);

	if (code) return leave(code);
	/* Slots may be empty in the middle: NOT_FOUND ends nothing. */
	if (!g->mig_on || (int)index >= g->migs || g->mig[index].slices == 0) return leave(NVML_ERROR_NOT_FOUND);
	*out = (nvmlDevice_t)((uintptr_t)device | ((uintptr_t)(index + 1) << 8));
	return leave(NVML_SUCCESS);
}

#define INSTANCE(name, type, body)                                             \
	nvmlReturn_t name(nvmlDevice_t device, type *out)                      \
	{                                                                      \
		struct gpu *g;                                                 \
		nvmlReturn_t code = about(#name, device, &g);                  \
		struct mig *m = code ? NULL : mig_of(g, device);               \
                                                                               \
		if (code || !m) return leave(code ? code : NVML_ERROR_NOT_SUPPORTED); \
		body;                                                          \
		return leave(NVML_SUCCESS);                                    \
	}

INSTANCE(nvmlDeviceGetGpuInstanceId, unsigned, *out = m->gi)
INSTANCE(nvmlDeviceGetComputeInstanceId, unsigned, *out = m->ci)

static void attributes(const struct mig *m, nvmlDeviceAttributes_t *out)
{
	memset(out, 0, sizeof(*out));
	out->multiprocessorCount = 16 * m->slices;
	out->gpuInstanceSliceCount = m->slices;
	out->computeInstanceSliceCount = m->slices;
	out->memorySizeMB = m->mib;
}

INSTANCE(nvmlDeviceGetAttributes_v2, nvmlDeviceAttributes_t, attributes(m, out))

/* ---- what it does */

nvmlReturn_t nvmlDeviceGetUtilizationRates(nvmlDevice_t device, nvmlUtilization_t *out)
{
	struct gpu *g;
	nvmlReturn_t code = about("nvmlDeviceGetUtilizationRates", device, &g);

	if (!code && g->mig_on) code = NVML_ERROR_NOT_SUPPORTED;
	if (!code) *out = (nvmlUtilization_t){ g->util, g->util_mem };
	return leave(code);
}

nvmlReturn_t nvmlDeviceGetMemoryInfo_v2(nvmlDevice_t device, nvmlMemory_v2_t *out)
{
	struct gpu *g;
	nvmlReturn_t code = about("nvmlDeviceGetMemoryInfo_v2", device, &g);

	if (!code && out->version != (sizeof(*out) | 2u << 24)) code = NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
	if (code) return leave(code);
	out->total = g->total;
	out->reserved = g->reserved;
	out->used = g->used;
	out->free = g->total - g->used;
	return leave(NVML_SUCCESS);
}

FIGURE(nvmlDeviceGetMemoryInfo, nvmlMemory_t, *out = ((nvmlMemory_t){ g->total, g->total - g->used, g->used }))
FIGURE(nvmlDeviceGetPowerUsage, unsigned, *out = g->power_mw)
FIGURE(nvmlDeviceGetCurrentClocksEventReasons, unsigned long long, *out = g->reasons)
FIGURE(nvmlDeviceGetCurrentClocksThrottleReasons, unsigned long long, *out = g->reasons)
FIGURE(nvmlDeviceGetCurrPcieLinkGeneration, unsigned, *out = g->pcie_gen)
FIGURE(nvmlDeviceGetCurrPcieLinkWidth, unsigned, *out = g->pcie_width)
FIGURE(nvmlDeviceGetPcieReplayCounter, unsigned, *out = g->replays)

nvmlReturn_t nvmlDeviceGetTemperature(nvmlDevice_t device, int sensor, unsigned *out)
{
	struct gpu *g;
	nvmlReturn_t code = about("nvmlDeviceGetTemperature", device, &g);

	if (!code && sensor != 0) code = NVML_ERROR_INVALID_ARGUMENT;
	if (!code) *out = g->temp;
	return leave(code);
}

nvmlReturn_t nvmlDeviceGetClockInfo(nvmlDevice_t device, int type, unsigned *out)
{
	struct gpu *g;
	nvmlReturn_t code = about("nvmlDeviceGetClockInfo", device, &g);

	if (!code && (type < 1 || type > 2)) code = NVML_ERROR_INVALID_ARGUMENT;
	if (!code) *out = type == 1 ? g->sm_mhz : g->mem_mhz;
	return leave(code);
}

nvmlReturn_t nvmlDeviceGetTotalEccErrors(nvmlDevice_t device, int type, int counter, unsigned long long *out)
{
	struct gpu *g;
	nvmlReturn_t code = about("nvmlDeviceGetTotalEccErrors", device, &g);

	if (!code) *out = g->ecc[2 * (counter & 1) + (type & 1)];
	return leave(code);
}

nvmlReturn_t nvmlDeviceGetRemappedRows(nvmlDevice_t device, unsigned *corrected, unsigned *uncorrected, unsigned *pending, unsigned *failure)
{
	struct gpu *g;
	nvmlReturn_t code = about("nvmlDeviceGetRemappedRows", device, &g);

	if (code) return leave(code);
	*corrected = g->remap[0];
	*uncorrected = g->remap[1];
	*pending = g->remap[2];
	*failure = g->remap[3];
	return leave(NVML_SUCCESS);
}

nvmlReturn_t nvmlDeviceGetNvLinkState(nvmlDevice_t device, unsigned link, unsigned *out)
{
	struct gpu *g;
	nvmlReturn_t code = about("nvmlDeviceGetNvLinkState", device, &g);

	if (!code && link >= g->links) code = g->links ? NVML_ERROR_INVALID_ARGUMENT : NVML_ERROR_NOT_SUPPORTED;
	if (!code) *out = (g->links_down >> link & 1) ? 0 : 1;
	return leave(code);
}

nvmlReturn_t nvmlDeviceGetNvLinkErrorCounter(nvmlDevice_t device, unsigned link, int counter, unsigned long long *out)
{
	struct gpu *g;
	nvmlReturn_t code = about("nvmlDeviceGetNvLinkErrorCounter", device, &g);

	if (!code && g->nvlink5) code = NVML_ERROR_NOT_SUPPORTED;
	if (!code && (link >= g->links || counter > 4)) code = NVML_ERROR_INVALID_ARGUMENT;
	if (!code) *out = counter == 1 ? g->recoveries : counter == 2 ? g->crc : 0;
	return leave(code);
}

static int field(const struct gpu *g, nvmlFieldValue_t *f)
{
	unsigned link = f->scopeId;

	f->valueType = 3;
	f->value = 0;
	if (f->fieldId >= 161 && f->fieldId <= 165 && link >= g->links) return g->links ? NVML_ERROR_INVALID_ARGUMENT : NVML_ERROR_NOT_SUPPORTED;
	/* NVLink 5 has other counters. */
	if (g->nvlink5 ? f->fieldId >= 161 && f->fieldId <= 163 : f->fieldId >= 201 && f->fieldId <= 222) return NVML_ERROR_NOT_SUPPORTED;
	switch (f->fieldId) {
	case 3: f->value = g->ecc[0]; return 0;
	case 4: f->value = g->ecc[1]; return 0;
	case 5: f->value = g->ecc[2]; return 0;
	case 6: f->value = g->ecc[3]; return 0;
	case 91: f->valueType = 1; f->value = g->links; return 0;
	case 94: f->valueType = 1; f->value = g->replays; return 0;
	case 142: case 143: case 144: case 145:
		/* Only 32 bits are written: what is above them is not part of the value. */
		f->valueType = 1;
		f->value = 0xdeadbeef00000000ull | g->remap[f->fieldId - 142];
		return 0;
	case 161: f->value = 0; return 0;
	case 162: f->value = g->recoveries; return 0;
	case 163: f->value = g->crc; return 0;
	case 208: f->value = g->crc; return 0;
	case 214: f->value = g->recoveries; return 0;
	case 185: f->valueType = 1; f->value = g->power_mw; return 0;
	case 165: f->valueType = 1; f->value = (g->links_down >> link & 1) ? 0 : 1; return 0;
	default: return NVML_ERROR_NOT_SUPPORTED;
	}
}

nvmlReturn_t nvmlDeviceGetFieldValues(nvmlDevice_t device, int values, nvmlFieldValue_t *out)
{
	struct gpu *g;
	nvmlReturn_t code = about("nvmlDeviceGetFieldValues", device, &g);
	char name[32];

	if (code) return leave(code);
	for (int i = 0; i < values; i++) {
		out[i].nvmlReturn = (unsigned)field(g, &out[i]);
		snprintf(name, sizeof(name), "field:%u", out[i].fieldId);
		for (int u = 0; u < now.unsupported_count; u++)
			if (!strcmp(now.unsupported[u], name)) out[i].nvmlReturn = NVML_ERROR_NOT_SUPPORTED;
	}
	return leave(NVML_SUCCESS);
}

/* ---- who uses it */

static int list(nvmlDevice_t device, const struct gpu *g, struct proc **out)
{
	int index = (int)((uintptr_t)device & 0xff) - 1;
	uint64_t ms = now_ms();

	if (!listed[index].valid || ms - listed[index].ms >= now.refresh_ms) {
		listed[index].valid = 1;
		listed[index].ms = ms;
		listed[index].procs = g->procs;
		memcpy(listed[index].proc, g->proc, sizeof(g->proc));
	}
	*out = listed[index].proc;
	return listed[index].procs;
}

static nvmlReturn_t processes(const char *name, nvmlDevice_t device, unsigned *count, char *out, int stride)
{
	struct gpu *g;
	nvmlReturn_t code = about(name, device, &g);
	struct proc *p;
	unsigned room = code ? 0 : *count;

	if (code) return leave(code);
	*count = (unsigned)list(device, g, &p);
	if (*count > room) return leave(NVML_ERROR_INSUFFICIENT_SIZE);
	for (unsigned i = 0; i < *count; i++) {
		nvmlProcessInfo_v2_t info = { p[i].pid, p[i].bytes, p[i].gi, p[i].ci };

		memcpy(out + i * (unsigned)stride, &info, stride < (int)sizeof(info) ? (size_t)stride : sizeof(info));
		if (stride > (int)sizeof(info)) memset(out + i * (unsigned)stride + sizeof(info), 0, (size_t)stride - sizeof(info));
	}
	return leave(NVML_SUCCESS);
}

/* Drivers 535.43 to 535.86 wrote 32 bytes an entry under the same name. */
nvmlReturn_t nvmlDeviceGetComputeRunningProcesses_v3(nvmlDevice_t d, unsigned *n, nvmlProcessInfo_v2_t *out) { return processes("nvmlDeviceGetComputeRunningProcesses_v3", d, n, (char *)out, now.stride); }
nvmlReturn_t nvmlDeviceGetComputeRunningProcesses_v2(nvmlDevice_t d, unsigned *n, nvmlProcessInfo_v2_t *out) { return processes("nvmlDeviceGetComputeRunningProcesses_v2", d, n, (char *)out, sizeof(*out)); }
nvmlReturn_t nvmlDeviceGetComputeRunningProcesses(nvmlDevice_t d, unsigned *n, nvmlProcessInfo_v1_t *out) { return processes("nvmlDeviceGetComputeRunningProcesses", d, n, (char *)out, sizeof(*out)); }

nvmlReturn_t nvmlDeviceGetProcessUtilization(nvmlDevice_t device, nvmlProcessUtilizationSample_t *out, unsigned *count, unsigned long long since)
{
	struct gpu *g;
	nvmlReturn_t code = about("nvmlDeviceGetProcessUtilization", device, &g);
	struct timespec t;
	unsigned long long us, samples = 0;
	unsigned room;

	if (!code && g->mig_on) code = NVML_ERROR_NOT_SUPPORTED;
	if (code) return leave(code);
	clock_gettime(CLOCK_REALTIME, &t);
	us = (unsigned long long)t.tv_sec * 1000000 + (unsigned long long)t.tv_nsec / 1000;
	room = *count;
	/* Two samples a process: the mean is the scenario's figure. */
	for (int i = 0; i < g->procs; i++) samples += g->proc[i].sm || g->proc[i].mem ? 2 : 0;
	*count = (unsigned)samples;
	if (samples == 0 || us <= since) return leave(NVML_ERROR_NOT_FOUND);
	if (samples > room) return leave(NVML_ERROR_INSUFFICIENT_SIZE);
	for (int i = 0, n = 0; i < g->procs; i++) {
		const struct proc *p = &g->proc[i];

		if (!p->sm && !p->mem) continue;
		out[n++] = (nvmlProcessUtilizationSample_t){ p->pid, us - 1, p->sm - 1, p->mem, 0, 0 };
		out[n++] = (nvmlProcessUtilizationSample_t){ p->pid, us, p->sm + 1, p->mem, 0, 0 };
	}
	return leave(NVML_SUCCESS);
}

/* ---- events */

nvmlReturn_t nvmlEventSetCreate(nvmlEventSet_t *out)
{
	nvmlReturn_t code = library("nvmlEventSetCreate");

	if (code) return leave(code);
	*out = (nvmlEventSet_t)(uintptr_t)(set_count + 1);
	/* What happened before is not heard of. */
	sets[set_count % MAX_SETS] = 0;
	for (int i = 0; i < now.events; i++)
		if (now.event[i].seq > sets[set_count % MAX_SETS]) sets[set_count % MAX_SETS] = now.event[i].seq;
	set_count++;
	return leave(NVML_SUCCESS);
}

nvmlReturn_t nvmlEventSetFree(nvmlEventSet_t eventSet)
{
	(void)eventSet;
	return leave(library("nvmlEventSetFree"));
}

FIGURE(nvmlDeviceGetSupportedEventTypes, unsigned long long, (void)g; *out = 0x11f)

nvmlReturn_t nvmlDeviceRegisterEvents(nvmlDevice_t device, unsigned long long types, nvmlEventSet_t eventSet)
{
	struct gpu *g;
	nvmlReturn_t code = about("nvmlDeviceRegisterEvents", device, &g);

	(void)eventSet;
	return leave(code ? code : types & ~0x11full ? NVML_ERROR_INVALID_ARGUMENT : NVML_SUCCESS);
}

static nvmlReturn_t wait_event(const char *name, nvmlEventSet_t set, nvmlEventData_t *out, unsigned timeout_ms, size_t size)
{
	struct timespec pause = { 0, 200000000 };
	uint64_t end = now_ms() + timeout_ms;
	nvmlReturn_t code = library(name);
	unsigned *told = &sets[((uintptr_t)set - 1) % MAX_SETS];

	while (!code) {
		for (int i = 0; i < now.events; i++) {
			const struct event *e = &now.event[i];
			nvmlEventData_t data = { (nvmlDevice_t)(uintptr_t)(e->gpu + 1), e->type, e->data, e->gi, e->ci };

			/* Delivered once, however often the file is read. */
			if (e->seq <= *told) continue;
			*told = e->seq;
			memcpy(out, &data, size);
			return leave(NVML_SUCCESS);
		}
		if (now_ms() >= end) return leave(NVML_ERROR_TIMEOUT);
		pthread_mutex_unlock(&lock);
		nanosleep(&pause, NULL);
		code = library(name);
	}
	return leave(code);
}

nvmlReturn_t nvmlEventSetWait_v2(nvmlEventSet_t set, nvmlEventData_t *out, unsigned ms) { return wait_event("nvmlEventSetWait_v2", set, out, ms, sizeof(*out)); }
nvmlReturn_t nvmlEventSetWait(nvmlEventSet_t set, nvmlEventData_t *out, unsigned ms) { return wait_event("nvmlEventSetWait", set, out, ms, 24); }
