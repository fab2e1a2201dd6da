/**
 * Probe `waits`: what every sleeping thread waits for, once a second and at every `why`.
 *
 * A pass is: both iterators read to their end, and all that they say put out under one time stamp.
 * Nothing is attached to a path that programs run on (bpf/waits.bpf.c).
 */
import type { Event, PollMember } from '../events/event.js';
import type { BpfIterator, BpfMap, LoadedObject } from '../kernel/program.js';
import { type Beat, every } from '../util/beat.js';
import type { Check } from '../util/check.js';
import { messageOf } from '../util/errors.js';
import { Devices } from './devices.js';
import { readLocks } from './file-locks.js';
import type { FlowTable } from './flow-table.js';
import { Passes } from './passes.js';
import type { Probe, ProbeContext } from './probe.js';
import { programChecks } from './program-checks.js';
import { type WaitEventContext, waitEvent } from './wait-events.js';
import { lockHolders, Wanted } from './wait-holders.js';
import { checkOwners, readThreadPass, type ThreadPass } from './wait-records.js';

/** Between two passes, ms. */
const PASS_MS = 1_000;
/** A wait this old is no part of a healthy pipeline: its holders are worth a pass over the files. */
const SETTLED_MS = 1_000;

const WITHOUT = {
  threads: 'nothing is known of what threads wait for',
  holders: 'nobody is known to hold a pipe, a unix socket or the other end of a local connection',
};

interface Running {
  readonly object: LoadedObject;
  readonly threads: BpfIterator;
  readonly holders: BpfIterator | undefined;
  readonly pass: BpfMap;
}

export class WaitsProbe implements Probe {
  readonly name = 'waits';
  readonly stats: Passes;
  readonly #context: ProbeContext;
  readonly #events: WaitEventContext;
  readonly #key = new Uint8Array(4);
  readonly #value = Buffer.alloc(16);
  /** Leaders seen by earlier passes: names a lock's holder that has not run since. */
  readonly #known = new Map<number, { readonly start: number; readonly comm: string }>();
  #running: Running | undefined;
  #failure: string | undefined;
  #generation = 0n;
  #timer: Beat | undefined;

  constructor(context: ProbeContext, flows: FlowTable, devices: Devices = new Devices()) {
    this.#context = context;
    this.stats = new Passes('threads', context.log);
    this.#events = { clock: context.clock, flows, devices };
  }

  async start(): Promise<void> {
    try {
      const object = await this.#context.kernel.load('waits');
      const threads = object.iterator('threads');
      if (threads === undefined) {
        const reason = object.programs.find((program) => program.slot === 'threads')?.reason;
        object.stop();
        throw new Error(`no iterator over threads: ${reason ?? 'not loaded'}`);
      }
      this.#running = { object, threads, holders: object.iterator('holders'), pass: object.map('xctl_pass') };
    } catch (error) {
      this.#failure = messageOf(error);
      throw error;
    }
    this.#timer = every(PASS_MS, () => this.pass(false));
  }

  stop(): void {
    this.#timer?.stop();
    this.#timer = undefined;
    this.#running?.object.stop();
    this.#running = undefined;
  }

  checks(): readonly Check[] {
    const programs = programChecks('waits', this.#running?.object, this.#failure, WITHOUT);
    return [...programs, ...this.stats.checks('waits')];
  }

  lost(): Readonly<Record<string, number>> {
    return { pass: this.stats.failures };
  }

  /**
   * One pass now. Its events are out when this returns.
   * @param full every thread with all it waits for; else only what has changed or just grew old.
   * @returns whether a pass was made.
   */
  pass(full: boolean): boolean {
    const running = this.#running;
    return running !== undefined && this.stats.run(() => this.#pass(running, full));
  }

  #pass(running: Running, full: boolean): void {
    const started = performance.now();
    this.#generation++;
    this.#value.writeBigUInt64LE(this.#generation, 0);
    this.#value.writeBigUInt64LE(full ? 1n : 0n, 8);
    running.pass.update(this.#key, this.#value);

    const { bytes } = running.threads.read();
    const view = viewOf(bytes);
    const nowNs = this.#context.clock.nowNs();
    const ts = this.#context.clock.toEpochMs(nowNs);
    const pass = readThreadPass(view);
    checkOwners(pass);
    this.#remember(pass);

    const wanted = new Wanted();
    const locked = new Set<string>();
    for (const record of pass.waits) {
      const event = waitEvent(this.#events, record, view, nowNs);
      this.#context.sink(event);
      if (full || ts - sinceOf(event) >= SETTLED_MS) want(event, wanted, locked);
    }
    this.#holders(running, wanted, ts);
    this.#locks(locked, ts);
    this.#context.sink({
      ts,
      type: 'wait.pass',
      entity: 'node',
      value: pass.pids.size,
      probe: 'waits',
      attrs: { same: pass.same, full, durationMs: performance.now() - started },
    });
  }

  #holders(running: Running, wanted: Wanted, ts: number): void {
    if (wanted.size === 0 || running.holders === undefined) return;
    const { bytes } = running.holders.read();
    for (const event of wanted.events(this.#events, viewOf(bytes), ts)) this.#context.sink(event);
  }

  #locks(entities: ReadonlySet<string>, ts: number): void {
    if (entities.size === 0) return;
    const held = readLocks();
    for (const entity of entities)
      this.#context.sink(lockHolders(entity, held, (pid) => this.#known.get(pid), ts));
  }

  #remember(pass: ThreadPass): void {
    for (const pid of this.#known.keys()) if (!pass.pids.has(pid)) this.#known.delete(pid);
    for (const record of pass.waits) {
      if (record.tid === record.pid)
        this.#known.set(record.pid, { start: record.startNs, comm: record.comm });
    }
  }
}

function want(event: Event, wanted: Wanted, locked: Set<string>): void {
  switch (event.type) {
    case 'wait.pipe':
      wanted.pipe(inodeOf(event.entity), event.attrs.op);
      return;
    case 'wait.unix':
      wanted.unix(inodeOf(event.entity), event.attrs.peer);
      return;
    case 'wait.tcp':
      wanted.flow(event.entity, event.attrs.flow);
      return;
    case 'wait.poll':
      for (const member of event.attrs.members) wantMember(member, wanted);
      return;
    case 'wait.file_lock':
      locked.add(event.entity);
      return;
    default:
      return;
  }
}

function wantMember({ entity, flow, op, peer }: PollMember, wanted: Wanted): void {
  if (flow !== undefined) wanted.flow(entity, flow);
  else if (entity.startsWith('pipe:')) wanted.pipe(inodeOf(entity), op);
  else if (peer !== undefined) wanted.unix(inodeOf(entity), peer);
}

/** `pipe:81234` → 81234. */
function inodeOf(entity: string): number {
  return Number(entity.slice(entity.indexOf(':') + 1));
}

function sinceOf(event: Event): number {
  return 'since' in event.attrs && typeof event.attrs.since === 'number' ? event.attrs.since : event.ts;
}

function viewOf(bytes: Buffer): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
