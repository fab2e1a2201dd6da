/**
 * Workload processes: started, waited for by what they print, and dead at the end. Each is also killed by the
 * kernel when the process that started it dies (PR_SET_PDEATHSIG, set by the C workloads and by `setpriv`).
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { workload } from './cc.js';
import type { Scope } from './scope.js';
import { Hopeless, until } from './until.js';

export interface StartOptions {
  /** Name of a network namespace to run in (World gives them). */
  readonly netns?: string;
  /** Put before the command, e.g. `['unshare', '--pid', '--fork', '--kill-child']`. Then `pid` is the wrapper's. */
  readonly wrap?: readonly string[];
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** The fields of a line `ready pid=1 tid=2 kind=mutex owner=3`. */
export interface Truth {
  readonly pid: number;
  readonly tid: number;
  readonly kind: string;
  /** A further field. @throws when the line has none of that name */
  text(field: string): string;
  number(field: string): number;
}

const LINE_TIMEOUT_MS = 15_000;

export class Proc {
  readonly pid: number;
  /** All that it printed so far, by line. */
  readonly stdout: string[] = [];
  readonly stderr: string[] = [];
  /** Settles when it has ended and all it printed was read. */
  readonly exited: Promise<Exit>;
  #exit: Exit | undefined;
  readonly #child: ChildProcess;
  readonly #what: string;

  /** Use `start` or `startWorkload`. */
  constructor(child: ChildProcess, pid: number, what: string) {
    this.#child = child;
    this.#what = what;
    this.pid = pid;
    if (child.stdout) createInterface({ input: child.stdout }).on('line', (line) => this.stdout.push(line));
    if (child.stderr) createInterface({ input: child.stderr }).on('line', (line) => this.stderr.push(line));
    this.exited = new Promise((resolve) => {
      child.once('close', (code, signal) => {
        this.#exit = { code, signal };
        resolve(this.#exit);
      });
    });
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** The first line of stdout that matches, now or later. @throws when it ends or 15 s pass without one */
  async line(pattern: RegExp, timeoutMs = LINE_TIMEOUT_MS): Promise<string> {
    return this.#find(this.stdout, pattern, timeoutMs);
  }

  /** The same on stderr, where the agent logs. */
  async errorLine(pattern: RegExp, timeoutMs = LINE_TIMEOUT_MS): Promise<string> {
    return this.#find(this.stderr, pattern, timeoutMs);
  }

  /** The truth of the first `ready … kind=<kind>` line, now or later. `all` comes last and means that all is set up. */
  async ready(kind = 'all'): Promise<Truth> {
    return truth(await this.line(new RegExp(`^ready .*\\bkind=${kind}( |$)`)));
  }

  /** The truths of all `ready` lines so far, or of one kind. */
  truths(kind?: string): Truth[] {
    const all = this.stdout.filter((line) => line.startsWith('ready ')).map(truth);
    return kind === undefined ? all : all.filter((one) => one.kind === kind);
  }

  kill(signal: NodeJS.Signals): void {
    if (this.running) this.#child.kill(signal);
  }

  /** Ends it: `signal`, and SIGKILL when that has not worked after `graceMs`. */
  async stop(signal: NodeJS.Signals = 'SIGKILL', graceMs = 3000): Promise<Exit> {
    if (this.running) {
      this.#child.kill(signal);
      const timer = setTimeout(() => this.#child.kill('SIGKILL'), graceMs);
      await this.exited;
      clearTimeout(timer);
    }
    return this.exited;
  }

  async #find(lines: readonly string[], pattern: RegExp, timeoutMs: number): Promise<string> {
    let ended = false;
    return until(
      () => {
        const found = lines.find((line) => pattern.test(line));
        // Looked at once more after the end: the last lines come in with it.
        if (found === undefined && ended) throw new Hopeless(this.#describe());
        ended = this.#exit !== undefined;
        return found;
      },
      { timeoutMs, what: `${pattern} from ${this.#what}`, everyMs: 10 },
    );
  }

  #describe(): string {
    const how = this.#exit?.signal ?? `code ${this.#exit?.code}`;
    return `${this.#what} ended (${how}) first; stderr: ${this.stderr.slice(-5).join(' | ')}`;
  }
}

function truth(line: string): Truth {
  const fields = new Map<string, string>();
  for (const word of line.split(' ')) {
    const at = word.indexOf('=');
    if (at > 0) fields.set(word.slice(0, at), word.slice(at + 1));
  }
  const text = (field: string): string => {
    const value = fields.get(field);
    if (value === undefined) throw new Error(`no ${field}= in: ${line}`);
    return value;
  };
  const number = (field: string): number => Number(text(field));
  return { pid: number('pid'), tid: number('tid'), kind: text('kind'), text, number };
}

/** Starts any program; it is dead when the scope ends. */
export function start(
  scope: Scope,
  command: string,
  args: readonly string[],
  options: StartOptions = {},
): Promise<Proc> {
  const words = [
    ...(options.netns === undefined ? [] : ['ip', 'netns', 'exec', options.netns]),
    ...(options.wrap ?? []),
    command,
    ...args,
  ];
  const [file = command, ...rest] = words;
  return new Promise((resolve, reject) => {
    const child = spawn(file, rest, {
      stdio: ['ignore', 'pipe', 'pipe'],
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
    });
    child.once('error', reject);
    child.once('spawn', () => {
      const proc = new Proc(child, child.pid ?? -1, command.slice(command.lastIndexOf('/') + 1));
      scope.teardown(() => proc.stop());
      resolve(proc);
    });
  });
}

/** Starts `test/workloads/<name>.c` with its `key=value` arguments. */
export async function startWorkload(
  scope: Scope,
  name: string,
  args: Readonly<Record<string, string | number>> = {},
  options: StartOptions = {},
): Promise<Proc> {
  const words = Object.entries(args).map(([key, value]) => `${key}=${value}`);
  return start(scope, await workload(name), words, options);
}

/** Start time of a process in clock ticks since boot (field 22 of /proc/PID/stat); undefined when there is none. */
export function startTicks(pid: number): string | undefined {
  return statFields(pid)?.[19];
}

/**
 * CPU time of a process's threads, seconds; undefined when there is none. From schedstat, which counts
 * nanoseconds: utime and stime are sampled by the timer tick here, and a program that timers wake is
 * found running by it far too often (twice its true use, measured).
 */
export function cpuSeconds(pid: number): number | undefined {
  try {
    let ns = 0;
    for (const tid of readdirSync(`/proc/${pid}/task`)) {
      ns += Number(readFileSync(`/proc/${pid}/task/${tid}/schedstat`, 'utf8').split(' ', 1)[0]);
    }
    return ns / 1e9;
  } catch {
    return undefined;
  }
}

/** Resident set of a process, bytes; undefined when there is none. */
export function rssBytes(pid: number): number | undefined {
  try {
    const found = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
    return found === null ? undefined : Number(found[1]) * 1024;
  } catch {
    return undefined;
  }
}

/** The fields of /proc/PID/stat from the third (state) on: what comes before may hold any character. */
function statFields(pid: number): string[] | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
}
