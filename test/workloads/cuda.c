// A real CUDA workload without nvcc and without headers: libcuda.so.1 found at run time, a kernel in PTX.
// mode=idle: a context and mib=N of memory, no kernel.   mode=busy: kernels one after the other on every SM.
// mode=oom:  memory until there is no more, and holds it.   device=N as in PCI order. Runs until it is killed.
#include "common.h"
#include <dlfcn.h>

typedef int CUresult, CUdevice;
typedef void *CUcontext, *CUmodule, *CUfunction, *CUstream;
typedef unsigned long long CUdeviceptr;
enum { CUDA_SUCCESS = 0, CUDA_ERROR_OUT_OF_MEMORY = 2 };

static CUresult (*cuInit)(unsigned);
static CUresult (*cuGetErrorName)(CUresult, const char **);
static CUresult (*cuDeviceGet)(CUdevice *, int);
static CUresult (*cuCtxCreate)(CUcontext *, unsigned, CUdevice);
static CUresult (*cuMemAlloc)(CUdeviceptr *, size_t);
static CUresult (*cuModuleLoadData)(CUmodule *, const void *);
static CUresult (*cuModuleGetFunction)(CUfunction *, CUmodule, const char *);
static CUresult (*cuLaunchKernel)(CUfunction, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned,
				  CUstream, void **, void **);
static CUresult (*cuCtxSynchronize)(void);

static const struct {
	void **to;
	const char *name;
} FUNCTIONS[] = {
	{(void **)&cuInit, "cuInit"},
	{(void **)&cuGetErrorName, "cuGetErrorName"},
	{(void **)&cuDeviceGet, "cuDeviceGet"},
	{(void **)&cuCtxCreate, "cuCtxCreate_v2"},
	{(void **)&cuMemAlloc, "cuMemAlloc_v2"},
	{(void **)&cuModuleLoadData, "cuModuleLoadData"},
	{(void **)&cuModuleGetFunction, "cuModuleGetFunction"},
	{(void **)&cuLaunchKernel, "cuLaunchKernel"},
	{(void **)&cuCtxSynchronize, "cuCtxSynchronize"},
};

// Spins for so many clocks. Compiled by the driver for whatever GPU there is; newer drivers know older targets no more.
static const char PTX[] = ".version 6.3\n"
			  ".target %s\n"
			  ".address_size 64\n"
			  ".visible .entry spin(.param .u64 clocks)\n"
			  "{\n"
			  "	.reg .pred %%p;\n"
			  "	.reg .b64 %%rd<5>;\n"
			  "	ld.param.u64 %%rd1, [clocks];\n"
			  "	mov.u64 %%rd2, %%clock64;\n"
			  "again:\n"
			  "	mov.u64 %%rd3, %%clock64;\n"
			  "	sub.u64 %%rd4, %%rd3, %%rd2;\n"
			  "	setp.lt.u64 %%p, %%rd4, %%rd1;\n"
			  "	@%%p bra again;\n"
			  "	ret;\n"
			  "}\n";
static const char *const TARGETS[] = {"sm_50", "sm_70", "sm_75"};

__attribute__((noreturn)) static void give_up(const char *what, const char *why)
{
	fprintf(stderr, "cuda: %s: %s\n", what, why);
	exit(2);
}

static void check(const char *what, CUresult code)
{
	const char *name = "an error without a name";
	if (code == CUDA_SUCCESS) return;
	cuGetErrorName(code, &name);
	give_up(what, name);
}

static void load(void)
{
	void *library = dlopen("libcuda.so.1", RTLD_NOW);
	if (library == NULL) give_up("no CUDA driver here", dlerror());
	for (size_t i = 0; i < sizeof FUNCTIONS / sizeof *FUNCTIONS; i++) {
		*FUNCTIONS[i].to = dlsym(library, FUNCTIONS[i].name);
		if (*FUNCTIONS[i].to == NULL) give_up("libcuda.so.1 lacks", FUNCTIONS[i].name);
	}
}

static CUfunction spin(void)
{
	char text[sizeof PTX + 16];
	CUmodule module;
	CUfunction function;
	CUresult code = CUDA_SUCCESS;

	for (size_t i = 0; i < sizeof TARGETS / sizeof *TARGETS; i++) {
		snprintf(text, sizeof text, PTX, TARGETS[i]);
		code = cuModuleLoadData(&module, text);
		if (code == CUDA_SUCCESS) break;
	}
	check("cuModuleLoadData", code);
	check("cuModuleGetFunction", cuModuleGetFunction(&function, module, "spin"));
	return function;
}

__attribute__((noreturn)) static void busy(void)
{
	CUfunction function = spin();
	unsigned long long clocks = 20 * 1000 * 1000;
	void *arguments[] = {&clocks};
	long kernels = 0;

	for (;; kernels++) {
		// More blocks than any GPU has room for, so that none of its SMs is idle; the next waits before this one ends.
		check("cuLaunchKernel", cuLaunchKernel(function, 1024, 1, 1, 256, 1, 1, 0, NULL, arguments, NULL));
		if (kernels % 2 == 1) check("cuCtxSynchronize", cuCtxSynchronize());
		if (kernels == 3) ready(getpid(), getpid(), "kind=all mode=busy");
	}
}

static unsigned long long fill(void)
{
	unsigned long long held = 0;
	CUdeviceptr at;

	for (size_t size = (size_t)1 << 30; size >= (size_t)1 << 20; size /= 2) {
		CUresult code;

		while ((code = cuMemAlloc(&at, size)) == CUDA_SUCCESS) held += size;
		if (code != CUDA_ERROR_OUT_OF_MEMORY) check("cuMemAlloc", code);
	}
	return held;
}

int main(int argc, char **argv)
{
	const char *mode = arg_str(argc, argv, "mode", "idle");
	CUdevice device;
	CUcontext context;
	CUdeviceptr memory;

	die_with_parent();
	setenv("CUDA_DEVICE_ORDER", "PCI_BUS_ID", 1);
	load();
	check("cuInit", cuInit(0));
	check("cuDeviceGet", cuDeviceGet(&device, (int)arg_num(argc, argv, "device", 0)));
	check("cuCtxCreate", cuCtxCreate(&context, 0, device));
	if (!strcmp(mode, "busy")) busy();
	if (!strcmp(mode, "oom")) {
		unsigned long long held = fill();

		ready(getpid(), getpid(), "kind=all mode=oom error=CUDA_ERROR_OUT_OF_MEMORY bytes=%llu", held);
	} else {
		size_t bytes = (size_t)arg_num(argc, argv, "mib", 1024) << 20;

		check("cuMemAlloc", cuMemAlloc(&memory, bytes));
		ready(getpid(), getpid(), "kind=all mode=idle bytes=%zu", bytes);
	}
	for (;;) pause();
}
