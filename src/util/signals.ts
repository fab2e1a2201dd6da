/** How a process ended, between wait(2)'s status word and the words people use. */
import { constants } from 'node:os';

const NAMES = new Map<number, string>(Object.entries(constants.signals).map(([name, nr]) => [nr, name]));
// Node's table has two names for some numbers; these are the ones signal(7) lists first.
for (const name of ['SIGABRT', 'SIGCHLD', 'SIGIO', 'SIGSYS'] as const)
  NAMES.set(constants.signals[name], name);

/** 9 → `SIGKILL`; an unnamed (real-time) one → `SIG34`. */
export function signalName(nr: number): string {
  return NAMES.get(nr) ?? `SIG${nr}`;
}

/** `SIGKILL` → 9, `SIG34` → 34; 0 when it is no signal's name. */
export function signalNumber(name: string): number {
  for (const [nr, known] of NAMES) if (known === name) return nr;
  const nr = /^SIG(\d{1,2})$/.exec(name)?.[1];
  return nr === undefined ? 0 : Number(nr);
}

export interface Ending {
  readonly code?: number;
  readonly signal?: string;
  readonly core?: true;
}

/** wait(2)'s status: `code << 8`, or signal with 0x80 for a core. */
export function endingOf(status: number): Ending {
  const signal = status & 0x7f;
  if (signal === 0) return { code: (status >> 8) & 0xff };
  return { signal: signalName(signal), ...((status & 0x80) !== 0 && { core: true as const }) };
}

export function statusOf(ending: Ending): number {
  if (ending.signal === undefined) return ((ending.code ?? 0) & 0xff) << 8;
  return signalNumber(ending.signal) | (ending.core === true ? 0x80 : 0);
}
