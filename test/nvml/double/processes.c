/* Who uses a GPU: the process list, which the driver refreshes about once a second, and samples of their use. */
#include <time.h>

#include "double.h"

/* What the list was when the driver looked last. */
static struct {
	int valid, procs;
	uint64_t ms;
	struct proc proc[MAX_PROCS];
} listed[MAX_GPUS];

static int list(nvmlDevice_t device, const struct gpu *g, struct proc **out)
{
	int index = index_of(device);
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
