/** Where the agent is found and what it is asked; the one place where both are spelled. */

export const DEFAULT_SOCKET = '/run/xctl/agent.sock';

/** Linux never gives a higher one (PID_MAX_LIMIT, include/linux/threads.h). */
export const MAX_PID = 2 ** 22;

export const PATHS = {
  health: '/healthz',
  version: '/v1/version',
  doctor: '/v1/doctor',
  ps: '/v1/ps',
  why: '/v1/why',
  /** Of one pid only. */
  diagnosis: '/v1/diagnosis',
  graph: '/v1/graph',
  events: '/v1/events',
  /** `?seconds=10`: the one request that changes anything, for that long. */
  rdmaTrace: '/v1/rdma-trace',
} as const;

/** Query parameter of `/v1/why/PID` and `/v1/diagnosis/PID`: inode of the asker's pid namespace (contract.ts, Asker). */
export const PID_NS_PARAMETER = 'pidNs';

/** Body of `/healthz`; `pid` lets a second agent name the one that is in its way. */
export interface Health {
  readonly ok: boolean;
  readonly pid: number;
}

/** A pid as people type it: plain decimal digits, 1 to MAX_PID; undefined for anything else. */
export function parsePid(text: string): number | undefined {
  if (!/^[1-9]\d{0,6}$/.test(text)) return undefined;
  const pid = Number(text);
  return pid <= MAX_PID ? pid : undefined;
}
