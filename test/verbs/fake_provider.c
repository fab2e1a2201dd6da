// Double of a provider library (libdouble-rdmav34.so): as of a true one, its post_send is exported by nobody and found
// only by way of a context. OTHER_BUILD: the function is somewhere else.
#include "abi.h"
#include <stdlib.h>
#include <string.h>

#ifdef OTHER_BUILD
__attribute__((used, noinline)) static int first(int n) { return n < 2 ? n : first(n - 1) + first(n - 2); }
#endif

static volatile uint64_t posted;

__attribute__((noinline)) static int post_send(struct fake_qp *qp, struct fake_wr *wr, struct fake_wr **bad)
{
	(void)qp;
	(void)bad;
	for (; wr != NULL; wr = wr->next) posted++;
	return 0;
}

__attribute__((visibility("default"))) struct fake_context *double_open(const char *device)
{
	struct fake_context *context = calloc(1, sizeof *context);
	context->device = calloc(1, sizeof *context->device);
	strncpy(context->device->name, device, sizeof context->device->name - 1);
	context->post_send = post_send;
	context->cmd_fd = -1;
	return context;
}
