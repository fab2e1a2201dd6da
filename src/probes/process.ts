/**
 * Probe `process`: who lives, whose child it is, what it runs, how it ended.
 *
 * fork and exec come through the events ring, exit and OOM kill through the critical one, which is
 * read first. So an exit is held back until the younger records of the other ring are through, and
 * events leave in the order in which they happened.
 */
import type { EventOf, ProcessAttrs } from '../events/event.js';
import { processId } from '../events/ids.js';
import {
  XCTL_EXIT_DEVS,
  XctlHdrLayout,
  XctlKind,
  XctlProcessExecLayout,
  XctlProcessExitLayout,
  XctlProcessLayout,
} from '../kernel/abi.generated.js';
import { readComm, readWords } from '../kernel/abi-read.js';
import type { LoadedObject } from '../kernel/program.js';
import { type Beat, every } from '../util/beat.js';
import type { Check } from '../util/check.js';
import { messageOf } from '../util/errors.js';
import { endingOf, signalNumber } from '../util/signals.js';
import { devText } from './filesystem-table.js';
import { launcherOf } from './job.js';
import { oomOf } from './oom.js';
import type { Probe, ProbeContext } from './probe.js';
import { processOfThread, readCmdline } from './proc.js';
import { ProcessInfo } from './process-info.js';
import { type LiveProcess, ProcessTable } from './process-table.js';
import { programChecks, type Without } from './program-checks.js';
import { forEachRecord, u64 } from './records.js';

const TICK_MS = 1_000;
/** Looks a tick: some fifteen milliseconds of file reads at most. */
const LOOKS_A_TICK = 100;
const REFRESH_MS = 60_000;
/** Exits remembered to tell a second record of the same one. */
const RECENT_EXITS = 256;

const WITHOUT: Without = {
  fork: 'new processes are not seen before they execute a program',
  exec: 'programs that processes execute are not seen',
  exit: 'ends of processes are not seen',
  oom: 'OOM kills show as SIGKILL only',
  seen: 'processes older than the agent are not known',
};

const P = XctlProcessLayout;

export class ProcessProbe implements Probe {
  readonly name = 'process';
  readonly #context: ProbeContext;
  readonly #table = new ProcessTable();
  readonly #info = new ProcessInfo();
  /** Exits and OOM kills that wait for older records of the other ring. */
  readonly #held: Held[] = [];
  /** Of these, how many are out already. */
  #out = 0;
  readonly #exits = new Map<number, number>();
  #settling = false;
  #object: LoadedObject | undefined;
  #failure: string | undefined;
  #timer: Beat | undefined;
  #refreshedMs = 0;

  constructor(context: ProbeContext) {
    this.#context = context;
  }

  /** Processes known to live. */
  get live(): number {
    return this.#table.size;
  }

  async start(): Promise<void> {
    const { poller, kernel } = this.#context;
    poller.on(XctlKind.PROCESS_FORK, (view, at) => this.#forked(view, at));
    poller.on(XctlKind.PROCESS_EXEC, (view, at) => this.#execed(view, at));
    poller.on(XctlKind.PROCESS_EXIT, (view, at) => this.#exited(view, at));
    poller.on(XctlKind.PROCESS_OOM_KILL, (view, at) => this.#oomKilled(view, at));
    try {
      this.#object = await kernel.load('process');
      await this.#seen(this.#object);
    } catch (error) {
      this.#failure = messageOf(error);
      throw error;
    }
    this.#timer = every(TICK_MS, () => this.#tick());
  }

  stop(): void {
    this.#timer?.stop();
    this.#timer = undefined;
    this.#object?.stop();
    this.#object = undefined;
    this.settle();
    this.#table.clear();
  }

  /** Gives out the exits that are held back. */
  settle(): void {
    this.#settling = false;
    for (let event = this.#held[this.#out]; event !== undefined; event = this.#held[++this.#out]) {
      this.#letGo(event);
    }
    this.#held.length = 0;
    this.#out = 0;
  }

  checks(): readonly Check[] {
    return programChecks('process', this.#object, this.#failure, WITHOUT);
  }

  async #seen(object: LoadedObject): Promise<void> {
    const { poller } = this.#context;
    const iterator = object.iterator('seen');
    if (iterator === undefined) return;
    const found: Seen[] = [];
    // A copy: the bytes are the iterator's, and command lines may be awaited below.
    forEachRecord(Buffer.from(iterator.read().bytes), (view, at) => found.push({ view, at }));
    // Who ended since the pass must not be told to run.
    poller.drainAll();
    this.settle();
    const ts = found.reduce((latest, { view, at }) => Math.max(latest, this.#ts(view, at)), 0);
    // Parents first, so that children know what they run under; pids wrap, start times do not.
    found.sort((a, b) => u64(a.view, a.at + P.startNs) - u64(b.view, b.at + P.startNs));
    for (const { view, at } of found) {
      const pid = view.getUint32(at + XctlHdrLayout.pid, true);
      const cmdline = iterator.rung === 'iter_s' ? wordsOf(view, at) : await readCmdline(pid);
      const attrs = this.#attrs(view, at);
      // It may have been forked and told of already, if after the programs were attached.
      const known = this.#table.get(pid);
      if (known?.start === attrs.start || this.#exits.get(pid) === attrs.start) continue;
      const process = this.#table.add(pid, attrs.start, attrs.ppid ?? 0, attrs.comm, ts);
      process.launcher = launcherOf(attrs.comm, cmdline ?? []);
      const full = cmdline === undefined || cmdline.length === 0 ? attrs : { ...attrs, cmdline };
      this.#emit('process.seen', ts, pid, full);
    }
  }

  // The three below run a thousand times a second on a busy node. Each makes its attributes as one
  // literal, so that what reads them later sees three shapes of object and not thirty.

  #forked(view: DataView, at: number): void {
    const ts = this.#ts(view, at);
    this.#settleBefore(ts);
    const pid = view.getUint32(at + XctlHdrLayout.pid, true);
    const start = u64(view, at + P.startNs);
    const comm = readComm(view, at + P.comm);
    const ppid = view.getUint32(at + P.ppid, true);
    const parentStart = u64(view, at + P.parentStartNs);
    const uid = view.getUint32(at + P.uid, true);
    const { id } = this.#table.add(pid, start, ppid, comm, ts);
    const attrs = { start, comm, ppid, parentStart, uid };
    this.#context.sink({ ts, type: 'process.fork', entity: id, pid, value: 0, attrs, probe: 'process' });
  }

  #execed(view: DataView, at: number): void {
    const ts = this.#ts(view, at);
    this.#settleBefore(ts);
    const pid = view.getUint32(at + XctlHdrLayout.pid, true);
    const start = u64(view, at + P.startNs);
    const comm = readComm(view, at + P.comm);
    const ppid = view.getUint32(at + P.ppid, true);
    const parentStart = u64(view, at + P.parentStartNs);
    const uid = view.getUint32(at + P.uid, true);
    const cmdline = wordsOf(view, at);
    const process = this.#table.add(pid, start, ppid, comm, ts);
    this.#table.execed(process, comm, launcherOf(comm, cmdline), ts);
    const attrs = { start, comm, ppid, parentStart, uid, cmdline };
    const entity = process.id;
    this.#context.sink({ ts, type: 'process.exec', entity, pid, value: 0, attrs, probe: 'process' });
  }

  #exited(view: DataView, at: number): void {
    const pid = view.getUint32(at + XctlHdrLayout.pid, true);
    const start = u64(view, at + P.startNs);
    // Two threads that end at once can both be the last.
    if (this.#exits.get(pid) === start) return;
    this.#rememberExit(pid, start);
    const ts = this.#ts(view, at);
    const comm = readComm(view, at + P.comm);
    const ppid = view.getUint32(at + P.ppid, true);
    const status = view.getUint32(at + P.exitCode, true);
    const known = this.#table.get(pid);
    const entity = known?.start === start ? known.id : processId(pid);
    if (status === 0) {
      const attrs = { start, comm, ppid, code: 0 };
      this.#hold({ ts, type: 'process.exit', entity, pid, value: 0, attrs, probe: 'process' });
      return;
    }
    const ending = endingOf(status);
    const value = ending.signal === undefined ? (ending.code ?? 0) : 128 + signalNumber(ending.signal);
    const wrote = wroteOf(view, at);
    const attrs = { start, comm, ppid, ...ending, ...(wrote.length > 0 && { wrote }) };
    this.#hold({ ts, type: 'process.exit', entity, pid, value, attrs, probe: 'process' });
  }

  #oomKilled(view: DataView, at: number): void {
    const id = view.getUint32(at + XctlHdrLayout.pid, true);
    let pid = id;
    let attrs = this.#attrs(view, at);
    if (attrs.start === 0) {
      // Before 6.8 the kernel gives the id of the thread that it chose, and nothing else.
      pid = this.#table.get(id) === undefined ? (processOfThread(id) ?? id) : id;
      const known = this.#table.get(pid);
      attrs = { start: known?.start ?? 0, comm: known?.comm ?? '' };
    }
    this.#hold({
      ts: this.#ts(view, at),
      type: 'process.oom_kill',
      entity: processId(pid),
      pid,
      value: 0,
      attrs: { ...attrs, ...oomOf(view, at) },
      probe: 'process',
    });
  }

  #hold(event: Held): void {
    this.#held.push(event);
    if (this.#settling) return;
    this.#settling = true;
    // After this drain, whoever asked for it.
    setImmediate(() => this.settle());
  }

  /** Exits that happened before `ts`: their processes' forks and execs are through. */
  #settleBefore(ts: number): void {
    const held = this.#held;
    for (let event = held[this.#out]; event !== undefined && event.ts < ts; event = held[++this.#out]) {
      this.#letGo(event);
    }
  }

  /** Not before: its fork may still have to come through. */
  #letGo(event: Held): void {
    if (event.type === 'process.exit') this.#table.remove(event.pid, event.attrs.start);
    this.#context.sink(event);
  }

  #rememberExit(pid: number, start: number): void {
    this.#exits.delete(pid);
    this.#exits.set(pid, start);
    if (this.#exits.size <= RECENT_EXITS) return;
    const [oldest] = this.#exits.keys();
    if (oldest !== undefined) this.#exits.delete(oldest);
  }

  #tick(): void {
    const now = this.#context.clock.toEpochMs(this.#context.clock.nowNs());
    if (now - this.#refreshedMs > REFRESH_MS) {
      this.#refreshedMs = now;
      this.#info.refresh();
    }
    for (const process of this.#table.due(now, LOOKS_A_TICK)) {
      this.#look(process).catch((error) => {
        this.#context.log.warn('look at process failed', { pid: process.pid, error: messageOf(error) });
      });
    }
  }

  async #look(process: LiveProcess): Promise<void> {
    const attrs = await this.#info.look(process);
    // It may have ended while its files were read.
    if (this.#table.get(process.pid) !== process) return;
    if (attrs === undefined) {
      // Its exit was lost, or is on its way.
      this.#table.remove(process.pid, process.start);
      return;
    }
    const told = JSON.stringify(attrs);
    if (told === process.told) return;
    process.told = told;
    const { clock, poller } = this.#context;
    // What is in the rings is older.
    poller.drainAll();
    this.settle();
    if (this.#table.get(process.pid) !== process) return;
    this.#emit('process.info', clock.toEpochMs(clock.nowNs()), process.pid, attrs);
  }

  #emit(
    type: 'process.seen' | 'process.fork' | 'process.exec' | 'process.info',
    ts: number,
    pid: number,
    attrs: ProcessAttrs,
  ): void {
    this.#context.sink({ ts, type, entity: processId(pid), pid, value: 0, attrs, probe: 'process' });
  }

  #ts(view: DataView, at: number): number {
    return this.#context.clock.toEpochMs(u64(view, at + XctlHdrLayout.tsNs));
  }

  #attrs(view: DataView, at: number): ProcessAttrs {
    return {
      start: u64(view, at + P.startNs),
      comm: readComm(view, at + P.comm),
      ppid: view.getUint32(at + P.ppid, true),
      parentStart: u64(view, at + P.parentStartNs),
      uid: view.getUint32(at + P.uid, true),
    };
  }
}

type Held = (EventOf<'process.exit'> | EventOf<'process.oom_kill'>) & { readonly pid: number };

interface Seen {
  readonly view: DataView;
  readonly at: number;
}

/** The command line of a `struct xctl_process_exec`; its last word may be cut. */
function wordsOf(view: DataView, at: number): string[] {
  const length = view.getUint32(at + P.cmdlineLen, true);
  if (length === 0) return [];
  return readWords(view, at + XctlProcessExecLayout.cmdline, length).split('\0');
}

/** What a `struct xctl_process_exit` had files open for writing on. */
function wroteOf(view: DataView, at: number): readonly string[] {
  const found: string[] = [];
  for (let i = 0; i < XCTL_EXIT_DEVS; i++) {
    const dev = view.getUint32(at + XctlProcessExitLayout.wrote + 4 * i, true);
    if (dev !== 0) found.push(devText(dev));
  }
  return found;
}
