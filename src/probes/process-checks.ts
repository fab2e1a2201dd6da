/** What of probe `process` works on this kernel, in words. */
import type { LoadedObject, ProgramStatus } from '../kernel/program.js';
import type { Check } from '../util/check.js';

const WITHOUT: Readonly<Record<string, string>> = {
  fork: 'new processes are not seen before they execute a program',
  exec: 'programs that processes execute are not seen',
  exit: 'ends of processes are not seen',
  oom: 'OOM kills show as SIGKILL only',
  seen: 'processes older than the agent are not known',
};

export function processChecks(
  object: LoadedObject | undefined,
  failure: string | undefined,
): readonly Check[] {
  const name = 'probe process';
  if (failure !== undefined) return [{ status: 'failed', name, detail: failure }];
  if (object === undefined) return [{ status: 'off', name, detail: 'not started' }];
  const missing = object.programs.filter((p) => !p.attached && WITHOUT[p.slot] !== undefined);
  const attached = object.programs.length - missing.length;
  const status = missing.length === 0 ? 'ok' : 'degraded';
  return [{ status, name, detail: `${attached} hooks attached` }, ...missing.map(missingCheck)];
}

function missingCheck(program: ProgramStatus): Check {
  const why = program.reason === null ? '' : ` (${program.reason})`;
  const detail = `${WITHOUT[program.slot] ?? 'off'}${why}`;
  return { status: 'degraded', name: `probe process/${program.slot}`, detail };
}
