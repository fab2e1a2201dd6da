/* The scenario: what the double answers, read from a file and read again when that has changed. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "double.h"

struct scenario now;
static struct stat seen;

static void defaults(struct scenario *s)
{
	memset(s, 0, sizeof(*s));
	s->gpus = 8;
	s->stride = sizeof(nvmlProcessInfo_v2_t);
	s->refresh_ms = 1000;
	strcpy(s->driver, "550.90.07");
	for (int i = 0; i < MAX_GPUS; i++) {
		struct gpu *g = &s->gpu[i];

		g->serial = (unsigned)i;
		g->temp = 30;
		g->power_mw = 70000;
		g->limit_mw = 700000;
		g->sm_mhz = 345;
		g->mem_mhz = 2619;
		g->pcie_gen = 5;
		g->pcie_width = 16;
		g->links = 18;
		g->reasons = 1;
		g->total = 80ull << 30;
		g->reserved = 512ull << 20;
		g->used = 600ull << 20;
	}
}

static void set(struct gpu *g, const char *key, const char *rest)
{
	unsigned long long v[6] = { 0 };
	int n = sscanf(rest, "%llu %llu %llu %llu %llu %llu", v, v + 1, v + 2, v + 3, v + 4, v + 5);

	if (!strcmp(key, "code")) g->code = (int)v[0];
	else if (!strcmp(key, "serial")) g->serial = (unsigned)v[0];
	else if (!strcmp(key, "util")) g->util = (unsigned)v[0], g->util_mem = (unsigned)v[1];
	else if (!strcmp(key, "memory")) g->used = v[0];
	else if (!strcmp(key, "temperature")) g->temp = (unsigned)v[0];
	else if (!strcmp(key, "power")) g->power_mw = (unsigned)v[0], g->limit_mw = n > 1 ? (unsigned)v[1] : g->limit_mw;
	else if (!strcmp(key, "clocks")) g->sm_mhz = (unsigned)v[0], g->mem_mhz = (unsigned)v[1];
	else if (!strcmp(key, "reasons")) g->reasons = v[0];
	else if (!strcmp(key, "ecc")) memcpy(g->ecc, v, sizeof(g->ecc));
	else if (!strcmp(key, "remap")) for (int i = 0; i < 4; i++) g->remap[i] = (unsigned)v[i];
	else if (!strcmp(key, "pcie")) g->pcie_gen = (unsigned)v[0], g->pcie_width = (unsigned)v[1], g->replays = (unsigned)v[2];
	else if (!strcmp(key, "nvlink")) g->links = (unsigned)v[0], g->links_down = (unsigned)v[1], g->crc = v[2], g->recoveries = v[3];
	else if (!strcmp(key, "nvlink5")) g->nvlink5 = (unsigned)v[0];
	else if (!strcmp(key, "mode")) g->compute_mode = (unsigned)v[0], g->virt_mode = (unsigned)v[1];
	else if (!strcmp(key, "mig")) g->mig_on = (int)v[0], g->mig_pending = n > 1 ? (int)v[1] : (int)v[0];
	else if (!strcmp(key, "instance") && g->migs < MAX_MIG)
		g->mig[g->migs++] = (struct mig){ (unsigned)v[0], (unsigned)v[1], (unsigned)v[2], v[3] };
	else if (!strcmp(key, "process") && g->procs < MAX_PROCS)
		g->proc[g->procs++] = (struct proc){ (unsigned)v[0], n > 2 ? (unsigned)v[2] : ~0u, n > 3 ? (unsigned)v[3] : ~0u,
						     (unsigned)v[4], (unsigned)v[5], v[1] };
}

static void parse(struct scenario *s, FILE *f)
{
	char line[512], word[80], key[80];
	int at, gpu, used, code;

	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "gpu %d %79s %n", &gpu, key, &at) >= 2) {
			for (int i = 0; i < MAX_GPUS; i++)
				if (gpu < 0 || gpu == i) set(&s->gpu[i], key, line + at);
		} else if (sscanf(line, "hang %d %79s", &gpu, word) == 2 && s->hangs < MAX_HANGS) {
			s->hang[s->hangs].gpu = gpu;
			strcpy(s->hang[s->hangs++].name, word);
		} else if ((code = NVML_ERROR_NOT_SUPPORTED, sscanf(line, "unsupported %79s", word) == 1) ||
			   sscanf(line, "refuse %79s %d", word, &code) == 2) {
			if (s->refusals == MAX_REFUSED) continue;
			s->refused[s->refusals].code = code;
			strcpy(s->refused[s->refusals++].name, word);
		} else if (!strncmp(line, "event ", 6) && s->events < MAX_EVENTS) {
			struct event *e = &s->event[s->events++];

			*e = (struct event){ .gi = ~0u, .ci = ~0u, .count = 1 };
			sscanf(line, "event %u %u %llu %llu %u %u %u", &e->seq, &e->gpu, &e->type, &e->data, &e->gi, &e->ci, &e->count);
		} else if (sscanf(line, "driver %79s", s->driver) == 1 || sscanf(line, "init %d", &s->init) == 1 ||
			   sscanf(line, "calls %d", &s->calls) == 1 || sscanf(line, "gpus %d", &s->gpus) == 1 ||
			   sscanf(line, "generation %u", &s->generation) == 1 || sscanf(line, "stride %d", &s->stride) == 1 ||
			   sscanf(line, "refresh_ms %u", &s->refresh_ms) == 1 || sscanf(line, " %n%*c", &used) == EOF) {
			continue;
		}
	}
	if (s->gpus > MAX_GPUS) s->gpus = MAX_GPUS;
}

void refresh(void)
{
	static struct scenario fresh;
	const char *path = getenv("XCTL_NVML_SCENARIO");
	struct stat st;
	FILE *f;

	memset(&st, 0, sizeof(st));
	if (path && stat(path, &st)) {
		/* The test is over: nothing may hang any more. */
		now.hangs = 0;
		return;
	}
	if (now.gpus && st.st_ino == seen.st_ino && st.st_size == seen.st_size && st.st_mtim.tv_sec == seen.st_mtim.tv_sec &&
	    st.st_mtim.tv_nsec == seen.st_mtim.tv_nsec)
		return;
	defaults(&fresh);
	f = path ? fopen(path, "re") : NULL;
	if (f) {
		parse(&fresh, f);
		fclose(f);
	}
	now = fresh;
	seen = st;
}
