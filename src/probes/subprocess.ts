/**
 * `--probe CMD`: any program that prints events as JSON lines on stdout. It runs without a shell in
 * a process group of its own, is started again with backoff when it ends, and is never trusted:
 * what it prints is bounded and validated, and becomes `custom` events only (events/codec.ts).
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { basename } from 'node:path';
import type { Readable } from 'node:stream';
import type { EventSink } from '../events/event.js';
import { Backoff, type BackoffOptions } from '../util/backoff.js';
import type { Check } from '../util/check.js';
import { errnoOf, messageOf } from '../util/errors.js';
import type { Log } from '../util/log.js';
import { printable } from '../util/text.js';
import { readThrottled } from '../util/throttle.js';
import { type IntakeStats, JsonlIntake } from './jsonl-intake.js';
import type { Probe } from './probe.js';

export interface SubprocessOptions {
  /** Program and arguments, not empty. */
  readonly argv: readonly string[];
  /** Place on the command line, from 1. */
  readonly number: number;
  readonly sink: EventSink;
  readonly log: Log;
  /** Event time, ms since the epoch; the wall clock unless said. */
  readonly eventNow?: () => number;
  readonly backoff?: BackoffOptions;
}

export interface SubprocessStats extends IntakeStats {
  readonly running: boolean;
  readonly restarts: number;
  /** `running`, or why it is not: `ENOENT`, `exited with 1`, `ended by SIGSEGV`. */
  readonly state: string;
}

const BACKOFF: BackoffOptions = { firstMs: 1000, maxMs: 60_000, goodMs: 60_000 };
/** What the program may cost in reading; a flood beyond it waits in its own pipe. */
const STDOUT_BYTES_PER_SECOND = 2 * 1024 * 1024;
const STDERR_BYTES_PER_SECOND = 128 * 1024;
/** From SIGTERM to SIGKILL; the agent itself has two seconds to end. */
const TERM_GRACE_MS = 1000;
/** Output still in the pipe when the program is gone; a stray descendant may hold it open for ever. */
const DRAIN_MS = 500;
/** A program that closed its stdout has nothing left to say. */
const SILENT_MS = 2000;

type Child = ChildProcessByStdio<null, Readable, Readable>;

/** Leaders of the groups that must not outlive an agent that ends in a hurry. */
const groups = new Set<number>();
let watchingExit = false;

export class SubprocessProbe implements Probe {
  readonly name = 'subprocess';
  readonly #title: string;
  readonly #argv: readonly string[];
  readonly #log: Log;
  readonly #intake: JsonlIntake;
  readonly #backoff: Backoff;
  #child: Child | undefined;
  #launched: Promise<void> = Promise.resolve();
  #ended: Promise<void> = Promise.resolve();
  #restart: NodeJS.Timeout | undefined;
  #restarts = 0;
  #state = 'not started';
  #stopping = false;

  constructor({ argv, number, sink, log, eventNow = Date.now, backoff = BACKOFF }: SubprocessOptions) {
    this.#argv = argv;
    // Arguments may hold a secret; the program's name does not.
    const program = printable(basename(argv[0] ?? ''), 64);
    this.#title = `probe subprocess ${number} (${program})`;
    this.#log = log.child({ component: 'subprocess', number, program });
    this.#intake = new JsonlIntake(sink, this.#log, eventNow);
    this.#backoff = new Backoff(backoff);
  }

  /** Resolves once the program runs, or could not be started and will be tried again. */
  async start(): Promise<void> {
    this.#launched = this.#launch();
    await this.#launched;
  }

  /** Ends the program and all of its group: SIGTERM, a second later SIGKILL. */
  async stop(): Promise<void> {
    this.#stopping = true;
    clearTimeout(this.#restart);
    await this.#launched;
    const child = this.#child;
    if (child === undefined) return;
    signalGroup(child, 'SIGTERM');
    const kill = setTimeout(() => signalGroup(child, 'SIGKILL'), TERM_GRACE_MS);
    await this.#ended;
    clearTimeout(kill);
    this.#state = 'stopped';
  }

  checks(): readonly Check[] {
    const name = this.#title;
    const { lines, events, lost } = this.#intake.stats();
    if (this.#child === undefined) {
      return [
        {
          status: this.#stopping ? 'off' : 'failed',
          name,
          detail: `${this.#state}; ${this.#restarts} restarts`,
        },
      ];
    }
    const worst = Object.entries(lost).reduce((a, b) => (b[1] > a[1] ? b : a));
    const detail = `${events} events from ${lines} lines, ${this.#restarts} restarts`;
    if (worst[1] === 0) return [{ status: 'ok', name, detail }];
    return [{ status: 'degraded', name, detail: `${detail}; most refused for ${worst[0]} (${worst[1]})` }];
  }

  stats(): SubprocessStats {
    return {
      ...this.#intake.stats(),
      running: this.#child !== undefined,
      restarts: this.#restarts,
      state: this.#state,
    };
  }

  async #launch(): Promise<void> {
    if (this.#stopping) return;
    const startedMs = performance.now();
    const [program = '', ...args] = this.#argv;
    let child: Child;
    try {
      child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], detached: true, cwd: '/' });
    } catch (error) {
      this.#startAgain(whyNot(error), 0);
      return;
    }
    const failure = await new Promise<Error | undefined>((resolve) => {
      child.once('spawn', () => resolve(undefined));
      child.on('error', resolve);
    });
    if (failure !== undefined) {
      this.#startAgain(whyNot(failure), 0);
      return;
    }
    this.#child = child;
    this.#state = 'running';
    keepGroup(child);
    this.#ended = this.#attend(child).then((how) => {
      this.#child = undefined;
      this.#startAgain(how, performance.now() - startedMs);
    });
  }

  /** Reads the program until it is gone and says how it ended. */
  async #attend(child: Child): Promise<string> {
    const { stdout, stderr } = this.#intake;
    const lift = [
      readThrottled(child.stdout, STDOUT_BYTES_PER_SECOND, (chunk) => stdout.push(chunk)),
      readThrottled(child.stderr, STDERR_BYTES_PER_SECOND, (chunk) => stderr.push(chunk)),
    ];
    let silent: NodeJS.Timeout | undefined;
    child.stdout.once('end', () => {
      silent = setTimeout(() => {
        this.#log.warn('program closed its stdout but runs on; it is ended');
        signalGroup(child, 'SIGKILL');
      }, SILENT_MS);
    });
    const closed = new Promise<void>((resolve) => child.once('close', resolve));
    const how = await new Promise<string>((resolve) => {
      child.once('exit', (code, signal) =>
        resolve(signal === null ? `exited with ${code}` : `ended by ${signal}`),
      );
    });
    clearTimeout(silent);
    endGroup(child);
    for (const bound of lift) bound();
    const late = setTimeout(() => {
      child.stdout.destroy();
      child.stderr.destroy();
    }, DRAIN_MS);
    await closed;
    clearTimeout(late);
    stdout.end();
    stderr.end();
    return how;
  }

  #startAgain(how: string, ranMs: number): void {
    this.#state = how;
    if (this.#stopping) return;
    const delayMs = this.#backoff.next(ranMs);
    this.#log.warn('program ended; it is started again', { how, ranMs: Math.round(ranMs), delayMs });
    this.#restart = setTimeout(() => {
      this.#restarts++;
      this.#launched = this.#launch();
    }, delayMs);
  }
}

/** Signals the leader's group. Only while the leader is not reaped: until then its number is its own. */
function signalGroup(child: Child, signal: 'SIGTERM' | 'SIGKILL'): void {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  killGroup(child.pid, signal);
}

/** The leader has just been reaped: what it left behind goes with it, before its number is used again. */
function endGroup(child: Child): void {
  if (child.pid === undefined) return;
  groups.delete(child.pid);
  killGroup(child.pid, 'SIGKILL');
}

function killGroup(leader: number, signal: 'SIGTERM' | 'SIGKILL'): void {
  try {
    process.kill(-leader, signal);
  } catch {
    // ESRCH: nobody is left, which is what was asked for.
  }
}

function keepGroup(child: Child): void {
  if (child.pid !== undefined) groups.add(child.pid);
  if (watchingExit) return;
  watchingExit = true;
  process.on('exit', () => {
    for (const leader of groups) killGroup(leader, 'SIGKILL');
  });
}

function whyNot(error: unknown): string {
  return errnoOf(error) ?? printable(messageOf(error), 100);
}
