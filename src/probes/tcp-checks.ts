/** What of probe `tcp` works on this kernel, in words: each missing hook and what is not known without it. */
import type { LoadedObject, ProgramStatus } from '../kernel/program.js';
import type { Check } from '../util/check.js';

const WITHOUT: Readonly<Record<string, string>> = {
  state: 'connects, their failures and closes are not seen',
  send: 'senders are not seen: owners are those who connected or held the socket at start',
  retransmit: 'retransmits and timeouts are not seen',
  reset_received: 'resets by the peer are not seen',
  reset_sent: 'resets of our own are not seen',
  accept: 'an accepted connection has no owner before its first send',
  boot: 'sockets older than the agent have no owner before their next send',
  flush: 'closed windows and recoveries are not seen',
};

/** Without these the probe says nothing that helps. */
const ESSENTIAL: ReadonlySet<string> = new Set(['state', 'send', 'retransmit']);

export function tcpChecks(object: LoadedObject | undefined, failure: string | undefined): readonly Check[] {
  const name = 'probe tcp';
  if (failure !== undefined) return [{ status: 'failed', name, detail: failure }];
  if (object === undefined) return [{ status: 'off', name, detail: 'not started' }];
  const missing = object.programs.filter((p) => !p.attached && WITHOUT[p.slot] !== undefined);
  const grave = missing.some((p) => ESSENTIAL.has(p.slot));
  const late = object.name === 'tcp_late';
  const lateDetail = 'senders are seen when send(2) returns: one that is blocked in it is unknown';
  const summary: Check = late
    ? { status: 'degraded', name, detail: lateDetail }
    : { status: grave ? 'degraded' : 'ok', name, detail: `${attached(object)} hooks attached` };
  return [summary, ...missing.map(missingCheck)];
}

function attached(object: LoadedObject): number {
  return object.programs.filter((p) => p.attached).length;
}

function missingCheck(program: ProgramStatus): Check {
  const why = program.reason === null ? '' : ` (${program.reason})`;
  return {
    status: 'degraded',
    name: `probe tcp/${program.slot}`,
    detail: `${WITHOUT[program.slot] ?? 'off'}${why}`,
  };
}
