// SPDX-License-Identifier: Apache-2.0
/*
 * What the JavaScript walk is measured against: libbpf's own ring_buffer__consume on the same ring,
 * with a callback that does the same. ring_peer MAP_ID; each line on stdin is one drain, answered by
 * "records sum nanoseconds".
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

struct hdr {
	uint64_t ts_ns;
	uint32_t pid;
	uint16_t kind, size;
};

static uint64_t records;
static uint32_t sum;

static int on_record(void *ctx, void *data, size_t size)
{
	const struct hdr *hdr = data;

	(void)ctx;
	records++;
	sum += hdr->pid + hdr->kind + size;
	return 0;
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

int main(int argc, char **argv)
{
	struct ring_buffer *ring;
	char line[64];
	int fd;

	if (argc != 2)
		return 2;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	fd = bpf_map_get_fd_by_id(strtoul(argv[1], NULL, 10));
	if (fd < 0) {
		fprintf(stderr, "bpf_map_get_fd_by_id: %s\n", strerror(-fd));
		return 1;
	}
	ring = ring_buffer__new(fd, on_record, NULL, NULL);
	if (!ring) {
		fprintf(stderr, "ring_buffer__new: %s\n", strerror(errno));
		return 1;
	}
	printf("ready\n");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		uint64_t start;

		records = sum = 0;
		start = now_ns();
		ring_buffer__consume(ring);
		printf("%llu %u %llu\n", (unsigned long long)records, sum,
		       (unsigned long long)(now_ns() - start));
		fflush(stdout);
	}
	ring_buffer__free(ring);
	return 0;
}
