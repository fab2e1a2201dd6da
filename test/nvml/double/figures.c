/* What a GPU does now: use, memory, temperature, power, clocks and the link to the host. */
#include "double.h"

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
