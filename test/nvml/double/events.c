/* The event set: what the scenario says has happened, given out once and in its order. */
#include "double.h"

#define MAX_SETS 256

/* Of each set: the last event that it was given, and how many like it. */
static struct {
	unsigned seq, given;
} sets[MAX_SETS];
static unsigned set_count;

nvmlReturn_t nvmlEventSetCreate(nvmlEventSet_t *out)
{
	nvmlReturn_t code = library("nvmlEventSetCreate");
	unsigned last = 0;

	if (code) return leave(code);
	/* What happened before is not heard of. */
	for (int i = 0; i < now.events; i++)
		if (now.event[i].seq > last) last = now.event[i].seq;
	sets[set_count % MAX_SETS].seq = last;
	sets[set_count % MAX_SETS].given = ~0u;
	*out = (nvmlEventSet_t)(uintptr_t)(++set_count);
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

/* The next one that this set was not given yet; NULL: there is none. */
static const struct event *next(unsigned *seq, unsigned *given)
{
	for (int i = 0; i < now.events; i++) {
		const struct event *e = &now.event[i];

		if (e->seq < *seq || (e->seq == *seq && *given >= e->count)) continue;
		*given = e->seq == *seq ? *given + 1 : 1;
		*seq = e->seq;
		return e;
	}
	return NULL;
}

static nvmlReturn_t wait_event(const char *name, nvmlEventSet_t set, nvmlEventData_t *out, unsigned timeout_ms, size_t size)
{
	uint64_t end = now_ms() + timeout_ms;
	nvmlReturn_t code = library(name);
	unsigned slot = (unsigned)((uintptr_t)set - 1) % MAX_SETS;

	while (!code) {
		const struct event *e = next(&sets[slot].seq, &sets[slot].given);

		if (e) {
			nvmlEventData_t data = { (nvmlDevice_t)(uintptr_t)(e->gpu + 1), e->type, e->data, e->gi, e->ci };

			memcpy(out, &data, size);
			return leave(NVML_SUCCESS);
		}
		if (now_ms() >= end) return leave(NVML_ERROR_TIMEOUT);
		leave(NVML_SUCCESS);
		pause_ms(200);
		code = library(name);
	}
	return leave(code);
}

nvmlReturn_t nvmlEventSetWait_v2(nvmlEventSet_t set, nvmlEventData_t *out, unsigned ms) { return wait_event("nvmlEventSetWait_v2", set, out, ms, sizeof(*out)); }
nvmlReturn_t nvmlEventSetWait(nvmlEventSet_t set, nvmlEventData_t *out, unsigned ms) { return wait_event("nvmlEventSetWait", set, out, ms, 24); }
