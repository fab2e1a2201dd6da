/** Kinds of argument. Each turns what was typed into a value, or says in one line what to type instead. */
import { MAX_PID, parsePid } from '../../api/paths.js';
import { parseTypes } from '../../api/stream.js';
import { UsageError } from '../../util/errors.js';

/** What the parser hands over: text, true for a flag, undefined when it was not typed. */
export type Raw = string | boolean | undefined;

export interface Arg<T> {
  readonly describe: string;
  /** A flag takes no value. */
  readonly kind: 'flag' | 'value';
  readonly short?: string;
  /** Shown in help and offered by completion. */
  readonly choices?: readonly string[];
  /** What completion fills in: files, or pids that the agent knows. */
  readonly completes?: 'file' | 'pid';
  /** @param name as the user writes it: `--socket`, `PID`. @throws UsageError */
  readonly parse: (raw: Raw, name: string) => T;
}

export type ArgTable = Readonly<Record<string, Arg<unknown>>>;

/** The values of a table, by its keys. */
export type ValuesOf<A extends ArgTable> = {
  readonly [K in keyof A]: A[K] extends Arg<infer T> ? T : never;
};

export function flag(describe: string, short?: string): Arg<boolean> {
  return { describe, kind: 'flag', ...(short !== undefined && { short }), parse: (raw) => raw === true };
}

export function choice<const C extends readonly [string, ...string[]]>(
  choices: C,
  describe: string,
  short?: string,
): Arg<C[number] | undefined> {
  const list = `${choices.slice(0, -1).join(', ')} or ${choices[choices.length - 1]}`;
  return {
    describe: `${describe}: ${choices.join(', ')}`,
    kind: 'value',
    choices,
    ...(short !== undefined && { short }),
    parse: (raw, name) => {
      if (raw === undefined) return undefined;
      const found = choices.find((known) => known === raw);
      if (found === undefined) throw new UsageError(`${name} must be ${list}`);
      return found;
    },
  };
}

export function text(
  describe: string,
  example: string,
  completes?: 'file',
  short?: string,
): Arg<string | undefined> {
  return {
    describe,
    kind: 'value',
    ...(completes !== undefined && { completes }),
    ...(short !== undefined && { short }),
    parse: (raw, name) => {
      if (raw === '' || typeof raw === 'boolean') {
        throw new UsageError(`${name} needs a value, e.g. ${name} ${example}`);
      }
      return raw;
    },
  };
}

/** Up to a day; a tenth of a second is the finest that makes sense to type. */
export function seconds(describe: string, example: number): Arg<number | undefined> {
  return {
    describe,
    kind: 'value',
    parse: (raw, name) => {
      if (raw === undefined) return undefined;
      const value = typeof raw === 'string' && /^\d{1,5}(?:\.\d{1,3})?$/.test(raw) ? Number(raw) : 0;
      if (value <= 0 || value > 86_400) {
        throw new UsageError(`${name} must be seconds from 0.001 to 86400, e.g. ${name} ${example}`);
      }
      return value;
    },
  };
}

/** @param example a command line that works */
export function pid(describe: string, example: string): Arg<number | undefined> {
  return {
    describe,
    kind: 'value',
    completes: 'pid',
    parse: (raw, name) => {
      if (raw === undefined) return undefined;
      const value = typeof raw === 'string' ? parsePid(raw) : undefined;
      if (value !== undefined) return value;
      const isNumber = typeof raw === 'string' && /^[+-]?\d+$/.test(raw);
      throw new UsageError(
        `${name} must be a number${isNumber ? ` from 1 to ${MAX_PID}` : ''}, e.g. ${example}`,
      );
    },
  };
}

export function eventTypes(describe: string): Arg<readonly string[] | undefined> {
  return {
    describe,
    kind: 'value',
    choices: ['process', 'transport', 'wait', 'storage', 'compute', 'error', 'topo', 'intent', 'action'],
    parse: (raw) => (raw === undefined ? undefined : parseTypes(String(raw))),
  };
}
