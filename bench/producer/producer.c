// SPDX-License-Identifier: Apache-2.0
/*
 * Runs the BPF program `produce` (producer.bpf.c) from a process of its own, so that its CPU time is
 * not the reader's: producer PROG_ID SECONDS BATCH FLOWS SHAPE RATE
 *
 * RATE is records a second, 0 for as fast as it goes. Prints one JSON line with the totals.
 */
#include <errno.h>
#include <linux/bpf.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* As in producer.bpf.c. */
struct produce_args {
	uint32_t records, flows, discard_every, shape;
	uint64_t first, submitted, discarded, refused;
};

static volatile sig_atomic_t stopping;

static void on_signal(int signal)
{
	(void)signal;
	stopping = 1;
}

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static long bpf(int command, union bpf_attr *attr)
{
	return syscall(SYS_bpf, command, attr, sizeof(*attr));
}

int main(int argc, char **argv)
{
	struct produce_args args = {};
	union bpf_attr attr;
	double seconds, rate, start, took;
	uint32_t batch;
	long fd;

	if (argc != 7) {
		fprintf(stderr, "usage: producer PROG_ID SECONDS BATCH FLOWS SHAPE RATE\n");
		return 2;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGTERM, on_signal);
	seconds = atof(argv[2]);
	batch = strtoul(argv[3], NULL, 10);
	args.flows = strtoul(argv[4], NULL, 10);
	args.shape = strtoul(argv[5], NULL, 10);
	rate = atof(argv[6]);

	memset(&attr, 0, sizeof(attr));
	attr.prog_id = strtoul(argv[1], NULL, 10);
	fd = bpf(BPF_PROG_GET_FD_BY_ID, &attr);
	if (fd < 0) {
		fprintf(stderr, "BPF_PROG_GET_FD_BY_ID: %s\n", strerror(errno));
		return 1;
	}
	start = now_s();
	for (;;) {
		took = now_s() - start;
		if (stopping || took >= seconds)
			break;
		if (rate > 0 && args.first > rate * took) {
			struct timespec pause = { 0, 200000 };

			nanosleep(&pause, NULL);
			continue;
		}
		args.records = batch;
		memset(&attr, 0, sizeof(attr));
		attr.test.prog_fd = fd;
		attr.test.ctx_in = (uintptr_t)&args;
		attr.test.ctx_size_in = sizeof(args);
		if (bpf(BPF_PROG_TEST_RUN, &attr) < 0) {
			fprintf(stderr, "BPF_PROG_TEST_RUN: %s\n", strerror(errno));
			return 1;
		}
		args.first += batch;
	}
	printf("{\"seconds\":%.6f,\"submitted\":%llu,\"discarded\":%llu,\"refused\":%llu}\n", took,
	       (unsigned long long)args.submitted, (unsigned long long)args.discarded,
	       (unsigned long long)args.refused);
	return 0;
}
