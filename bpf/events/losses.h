/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What was dropped, and where. Part of xctl_events.h, whose rules hold here. */
#ifndef XCTL_EVENTS_LOSSES_H
#define XCTL_EVENTS_LOSSES_H

/* Index into the per-CPU array `xctl_lost`; what was dropped where, never in silence. */
enum xctl_lost_reason {
	XCTL_LOST_EVENTS_FULL = 0, /* the ring `xctl_events` had no room */
	XCTL_LOST_CRITICAL_FULL = 1, /* the ring `xctl_critical` had no room */
	XCTL_LOST_STORAGE = 2, /* socket or task storage could not be created (optmem_max, memory) */
	XCTL_LOST_READ = 3, /* memory of the traced task could not be read */
	XCTL_LOST_SEQ_FULL = 4, /* an iterator record did not fit */
	XCTL_LOST_WANTED_FULL = 5, /* more objects waited for than the table holds */
	XCTL_LOST_TABLE_FULL = 6, /* more communicators, threads that wait for a GPU, queue pairs or regions than the table holds */
	XCTL_LOST_RETURN = 7, /* the return of a function was not seen: its probe had no room */
	XCTL_LOST_MAX = 8,
};

#endif
