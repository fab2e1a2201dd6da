/** What of a probe works on this kernel, in words: each missing hook and what is not known without it. */
import type { LoadedObject, ProgramStatus } from '../kernel/program.js';
import type { Check } from '../util/check.js';

/** Slot → what is taken away without it. */
export type Without = Readonly<Record<string, string>>;

export function programChecks(
  probe: string,
  object: Pick<LoadedObject, 'programs'> | undefined,
  failure: string | undefined,
  without: Without,
): readonly Check[] {
  const name = `probe ${probe}`;
  if (failure !== undefined) return [{ status: 'failed', name, detail: failure }];
  if (object === undefined) return [{ status: 'off', name, detail: 'not started' }];
  const attached = object.programs.filter((program) => program.attached);
  const missing = object.programs.filter((program) => !program.attached);
  const [first] = missing;
  if (attached.length === 0 && first !== undefined) {
    return [
      {
        status: 'failed',
        name,
        detail: `no hook could be attached (${first.slot}: ${first.reason ?? 'off'})`,
      },
    ];
  }
  const rungs = attached.map((program) => `${program.slot} by ${program.rung}`).join(', ');
  const summary: Check = { status: missing.length === 0 ? 'ok' : 'degraded', name, detail: rungs };
  return [summary, ...missing.map((program) => missingCheck(name, program, without))];
}

function missingCheck(name: string, program: ProgramStatus, without: Without): Check {
  const why = program.reason === null ? '' : ` (${program.reason})`;
  return {
    status: 'degraded',
    name: `${name}/${program.slot}`,
    detail: `${without[program.slot] ?? 'off'}${why}`,
  };
}
