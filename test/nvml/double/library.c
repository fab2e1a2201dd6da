/* The library's own life, and how each call begins and ends: one at a time, and not before the scenario lets it go on. */
#define _GNU_SOURCE
#include <pthread.h>
#include <time.h>

#include "double.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int users;
static unsigned generation;

uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static int hangs(int gpu, const char *name)
{
	for (int i = 0; i < now.hangs; i++)
		if ((now.hang[i].gpu < 0 || now.hang[i].gpu == gpu) && (!strcmp(now.hang[i].name, "*") || !strcmp(now.hang[i].name, name)))
			return 1;
	return 0;
}

void pause_ms(unsigned ms)
{
	struct timespec pause = { ms / 1000, (long)(ms % 1000) * 1000000 };

	nanosleep(&pause, NULL);
}

nvmlReturn_t leave(nvmlReturn_t code)
{
	pthread_mutex_unlock(&lock);
	return code;
}

/* Every call begins so: with the lock, and not before the scenario lets it go on. */
static void enter(int gpu, const char *name)
{
	pthread_mutex_lock(&lock);
	refresh();
	while (hangs(gpu, name)) {
		leave(NVML_SUCCESS);
		pause_ms(2);
		pthread_mutex_lock(&lock);
		refresh();
	}
}

nvmlReturn_t library(const char *name)
{
	enter(-2, name);
	if (users == 0 || generation != now.generation) return NVML_ERROR_UNINITIALIZED;
	return (nvmlReturn_t)now.calls;
}

/* Handles: the GPU's number + 1 in the low bits, that of a MIG instance + 1 above. */
int index_of(nvmlDevice_t device)
{
	return (int)((uintptr_t)device & 0xff) - 1;
}

struct mig *mig_of(struct gpu *g, nvmlDevice_t device)
{
	unsigned i = (unsigned)((uintptr_t)device >> 8);

	return i >= 1 && (int)i <= g->migs ? &g->mig[i - 1] : NULL;
}

nvmlReturn_t about(const char *name, nvmlDevice_t device, struct gpu **g)
{
	int index = index_of(device);

	enter(index, name);
	if (index < 0 || index >= MAX_GPUS) return NVML_ERROR_INVALID_ARGUMENT;
	*g = &now.gpu[index];
	if (users == 0 || generation != now.generation) return NVML_ERROR_UNINITIALIZED;
	if (now.calls) return (nvmlReturn_t)now.calls;
	if ((*g)->code) return (nvmlReturn_t)(*g)->code;
	return (nvmlReturn_t)refusal(name);
}

int refusal(const char *name)
{
	for (int i = 0; i < now.refusals; i++)
		if (!strcmp(now.refused[i].name, name)) return now.refused[i].code;
	return 0;
}

nvmlReturn_t text(char *out, unsigned size, const char *value)
{
	if (size <= strlen(value)) return NVML_ERROR_INSUFFICIENT_SIZE;
	strcpy(out, value);
	return NVML_SUCCESS;
}

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
