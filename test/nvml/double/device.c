/* What a GPU is: its names and places, its modes, and the MIG instances that it is parted into. */
#include <stdio.h>

#include "double.h"

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
	/* More have no room on the buses of one domain. */
	p.domain = g->serial / 14;
	p.bus = 0x1b + 0x10 * (g->serial % 14);
	p.pciDeviceId = 0x233010de;
	snprintf(p.busIdLegacy, sizeof(p.busIdLegacy), "%04X:%02X:%02X.0", p.domain & 0xffff, p.bus & 0xff, p.device & 0xff);
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
