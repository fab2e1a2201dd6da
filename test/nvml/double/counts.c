/* Errors and replaced rows of memory, NVLinks, and the fields that tell all of it in one call. */
#include <stdio.h>

#include "double.h"

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
		int refused;

		out[i].nvmlReturn = (unsigned)field(g, &out[i]);
		if (now.refusals == 0) continue;
		snprintf(name, sizeof(name), "field:%u", out[i].fieldId);
		refused = refusal(name);
		if (refused) out[i].nvmlReturn = (unsigned)refused;
	}
	return leave(NVML_SUCCESS);
}
