/** A real xctl-agent on a socket of its own, and xctl beside it. */
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { WhyAnswer } from '../../src/scene/answer.js';
import { isOrphan, OWN_PREFIX } from './owner.js';
import { type Proc, type StartOptions, start } from './proc.js';
import { ROOT } from './root.js';
import type { Scope } from './scope.js';

export interface CliResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Agent {
  /** The process; its log is in `proc.stderr`. */
  readonly proc: Proc;
  readonly pid: number;
  readonly socket: string;
  /** A directory that goes with the agent: for recordings, configuration, rules. */
  readonly dir: string;
  /** The agent's log so far, parsed; lines that are no JSON come as `{ raw }`. */
  log(): readonly Readonly<Record<string, unknown>>[];
  /** `xctl … --socket <its socket>`; never rejects for an exit code. */
  xctl(...args: readonly string[]): Promise<CliResult>;
  /** `xctl why PID -o json`. @throws Error with what xctl said when it gave no answer */
  why(pid: number): Promise<WhyAnswer>;
  /** SIGTERM, then SIGKILL after 3 s. */
  stop(): Promise<void>;
}

export interface AgentOptions extends StartOptions {
  /** More arguments for xctl-agent. */
  readonly args?: readonly string[];
  /** Until it says `ready`; 30 s unless said. */
  readonly readyTimeoutMs?: number;
  /** Come back at once instead of when it is ready. */
  readonly awaitReady?: boolean;
}

/**
 * Put before our own programs: tap makes every Node below it load a hook (NODE_OPTIONS), which would be in each
 * start-up time, and fails under another user.
 */
export const WITHOUT_TAP: readonly string[] = ['env', '-u', 'NODE_OPTIONS'];

const READY = /"msg":"ready"/;

/** @throws Error when the project is not built, or with the last lines of its log when it does not get ready */
export async function startAgent(scope: Scope, options: AgentOptions = {}): Promise<Agent> {
  const bin = join(ROOT, 'bin', 'xctl-agent');
  for (const needed of [bin, join(ROOT, 'dist', 'agent.js')]) {
    if (!existsSync(needed)) throw new Error(`${needed} is missing; run \`make build\` first`);
  }
  sweep();
  const dir = mkdtempSync(join(tmpdir(), OWN_PREFIX));
  scope.teardown(() => rmSync(dir, { recursive: true, force: true }));
  const socket = join(dir, 'agent.sock');
  const { args = [], readyTimeoutMs = 30_000, awaitReady = true, wrap = [], ...rest } = options;
  const proc = await start(scope, bin, ['--socket', socket, ...args], {
    ...rest,
    // An agent must not outlive a test that was killed.
    wrap: [...wrap, ...WITHOUT_TAP, 'setpriv', '--pdeathsig', 'KILL'],
  });
  const agent: Agent = {
    proc,
    pid: proc.pid,
    socket,
    dir,
    log: () => proc.stderr.map(parseLine),
    xctl: (...words) => xctl([...words, '--socket', socket]),
    why: async (pid) => {
      const result = await xctl(['why', String(pid), '-o', 'json', '--socket', socket]);
      if (result.code !== 0) throw new Error(`xctl why ${pid}: exit ${result.code}: ${result.stderr.trim()}`);
      return JSON.parse(result.stdout) as WhyAnswer;
    },
    stop: async () => {
      await proc.stop('SIGTERM');
    },
  };
  scope.teardown(() => agent.stop());
  if (awaitReady) await proc.errorLine(READY, readyTimeoutMs);
  return agent;
}

/** Runs bin/xctl; never rejects for an exit code. */
export function xctl(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<CliResult> {
  const [file = '', ...words] = [...WITHOUT_TAP, join(ROOT, 'bin', 'xctl'), ...args];
  return new Promise((resolve, reject) => {
    execFile(
      file,
      words,
      { env: { ...process.env, ...env }, timeout: 60_000, maxBuffer: 256 * 1024 * 1024 },
      (error, stdout, stderr) => {
        if (error === null) resolve({ code: 0, stdout, stderr });
        else if (typeof error.code === 'number') resolve({ code: error.code, stdout, stderr });
        else reject(error);
      },
    );
  });
}

function sweep(): void {
  for (const name of readdirSync(tmpdir())) {
    if (isOrphan(name)) rmSync(join(tmpdir(), name), { recursive: true, force: true });
  }
}

function parseLine(line: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? { ...value } : { raw: line };
  } catch {
    return { raw: line };
  }
}
