/** An agent started in a hostile place: under another user, without a capability, on a socket of the test's choice. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Check } from '../../../src/api/contract.js';
import { type CliResult, WITHOUT_TAP, xctl } from '../../lib/agent.js';
import { OWN_PREFIX } from '../../lib/owner.js';
import { type Proc, start } from '../../lib/proc.js';
import { ROOT } from '../../lib/root.js';
import type { Scope } from '../../lib/scope.js';

export const AGENT = join(ROOT, 'bin', 'xctl-agent');
export const READY = /"msg":"ready"/;

export interface RawOptions {
  readonly socket: string;
  readonly args?: readonly string[];
  /** Put before the agent, e.g. `['setpriv', '--reuid', '65534', …]`. */
  readonly wrap?: readonly string[];
  /** Another agent than the checkout's. */
  readonly bin?: string;
}

/** Does not wait for anything: most of these agents are not to get far. */
export function startRaw(
  scope: Scope,
  { socket, args = [], wrap = [], bin = AGENT }: RawOptions,
): Promise<Proc> {
  const words = ['--socket', socket, ...args];
  return start(scope, bin, words, { wrap: [...wrap, ...WITHOUT_TAP, 'setpriv', '--pdeathsig', 'KILL'] });
}

/** A directory that goes with the scope. */
export function scratch(scope: Scope): string {
  const dir = mkdtempSync(join(tmpdir(), OWN_PREFIX));
  scope.teardown(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

export function ask(socket: string, ...words: readonly string[]): Promise<CliResult> {
  return xctl([...words, '--socket', socket]);
}

export async function checksOf(socket: string): Promise<readonly Check[]> {
  const { stdout } = await ask(socket, 'doctor', '-o', 'json');
  return (JSON.parse(stdout) as { checks: Check[] }).checks;
}

/** What is wrong with an error message: it must be one line, for people, without a stack. */
export function complaintFlaws(stderr: string, start: string): readonly string[] {
  const flaws: string[] = [];
  const lines = stderr.split('\n').filter((line) => line !== '');
  if (lines.length !== 1) flaws.push(`${lines.length} lines: ${stderr}`);
  if (!stderr.startsWith(start)) flaws.push(`does not start with ${start}: ${stderr}`);
  if (stderr.length > 600) flaws.push(`${stderr.length} characters long`);
  return [...flaws, ...stackFlaws(stderr)];
}

/** A log or an error message never shows a stack to people. */
export function stackFlaws(text: string): readonly string[] {
  return text
    .split('\n')
    .filter((line) => /^\s+at .*[(:]\d|^node:|UnhandledPromise|uncaught/i.test(line))
    .map((line) => `a stack: ${line}`);
}

/** The errors that a log has, by message. */
export function logged(proc: Proc, level: 'error' | 'warn'): readonly Readonly<Record<string, unknown>>[] {
  return proc.stderr.flatMap((line) => {
    if (!line.startsWith('{')) return [];
    const entry = JSON.parse(line) as Record<string, unknown>;
    return entry.level === level ? [entry] : [];
  });
}
