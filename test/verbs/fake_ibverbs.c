// Double of libibverbs.so.1 with one device, double0, and the double of a provider that lies beside it.
#define _GNU_SOURCE
#include "abi.h"
#include <dlfcn.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

static struct fake_device device = {.name = "double0"};
static struct fake_device *list[] = {&device, NULL};

EXPORT struct fake_device **ibv_get_device_list(int *count)
{
	*count = 1;
	return list;
}

EXPORT void ibv_free_device_list(struct fake_device **all) { (void)all; }

EXPORT const char *ibv_get_device_name(struct fake_device *one) { return one->name; }

EXPORT struct fake_context *ibv_open_device(struct fake_device *one)
{
	Dl_info self;
	char own[4096], path[4200];
	if (dladdr((void *)ibv_open_device, &self) == 0) return NULL;
	snprintf(own, sizeof own, "%s", self.dli_fname);
	snprintf(path, sizeof path, "%s/libdouble-rdmav34.so", dirname(own));
	void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (library == NULL) return NULL;
	struct fake_context *(*open)(const char *) = (struct fake_context *(*)(const char *))dlsym(library, "double_open");
	return open(one->name);
}

EXPORT int ibv_close_device(struct fake_context *context)
{
	free(context->device);
	free(context);
	return 0;
}
