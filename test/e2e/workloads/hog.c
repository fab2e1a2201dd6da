// Uses memory, 1 MiB after the other, until somebody ends it.
#include "common.h"

int main(void)
{
	die_with_parent();
	for (long mib = 1;; mib++) {
		char *block = malloc(1 << 20);
		if (block == NULL) fail("malloc");
		memset(block, (int)mib, 1 << 20);
	}
}
