/**
 * A node far larger than any real one, made of events only: 100,000 graph nodes and a million edges.
 * Every shape that makes the walk work is in it: pipelines, crowds on one pipe, chains longer than the
 * walk goes, processes with a thousand threads, poll sets, locks, a parent of thousands.
 */
import type {
  Event,
  EventCatalogue,
  FlowAttrs,
  Holder,
  PollMember,
  WaitAttrs,
} from '../../src/events/event.js';
import { flowId, lockId, futexId, pipeId, pollId, processId, unixId } from '../../src/events/ids.js';
import type { StateGraph } from '../../src/graph/state-graph.js';

/** Pids by what makes them hard to answer for. */
export interface World {
  readonly ordinary: readonly number[];
  readonly threaded: readonly number[];
  readonly chained: readonly number[];
  readonly hubs: readonly number[];
  readonly pollers: readonly number[];
}

const NOW_MS = 1_750_000_000_000;
const START_NS = 1_000_000_000;
const FIRST_PID = 1_000;
const FIRST_TID = 1_000_000;

const SIZES = {
  ordinary: 16_000,
  threaded: 60,
  pipes: 50_000,
  crowdedPipes: 100,
  chains: 40,
  flows: 16_000,
  unixSockets: 6_000,
  pollers: 200,
  children: 4_000,
};
type Sizes = Readonly<typeof SIZES>;

const MAX_THREADS_ORDINARY = 20;
const THREADS_THREADED = 1_000;
const HOLDERS_A_PIPE = 14;
const HOLDERS_CROWDED = 1_000;
const CHAIN_LENGTH = 100;
/** As many as the sampler reports of one set (XCTL_SET_MAX). */
const MEMBERS_A_SET = 64;

/** Small numbers from a seed (Marsaglia's xorshift32): the same world in every run. */
export class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  /** 0 … sides - 1. */
  roll(sides: number): number {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x;
    return (x >>> 0) % sides;
  }
}

/** @param scale 1 for a million edges. */
export function buildWorld(graph: StateGraph, scale = 1): World {
  const scaled = Object.entries(SIZES).map(([name, size]) => [name, Math.ceil(size * scale)]);
  return new Builder(graph, { ...SIZES, ...Object.fromEntries(scaled) }).build();
}

class Builder {
  readonly #graph: StateGraph;
  readonly #sizes: Sizes;
  readonly #dice = new Dice(0x2545_f491);
  #pid = FIRST_PID;
  #tid = FIRST_TID;
  #ts = NOW_MS;

  constructor(graph: StateGraph, sizes: Sizes) {
    this.#graph = graph;
    this.#sizes = sizes;
  }

  build(): World {
    const root = this.#process(1);
    const ordinary = this.#processes(this.#sizes.ordinary, root);
    const threaded = this.#processes(this.#sizes.threaded, root);
    const pollers = this.#processes(this.#sizes.pollers, root);
    const parent = this.#process(root);
    this.#processes(this.#sizes.children, parent);
    this.#flows(ordinary);
    this.#pipes(ordinary);
    const hubs = this.#crowds(ordinary);
    const chained = this.#chains(root);
    for (const pid of ordinary) this.#threads(pid, 1 + this.#dice.roll(MAX_THREADS_ORDINARY));
    for (const pid of threaded) this.#threads(pid, THREADS_THREADED);
    for (const pid of pollers) this.#poll(pid);
    this.#apply({
      ...this.#wait(parent, parent),
      type: 'wait.child',
      entity: processId(parent),
      childPid: 0,
    });
    hubs.push(parent);
    return { ordinary, threaded, chained, hubs, pollers };
  }

  #processes(count: number, ppid: number): number[] {
    return Array.from({ length: count }, () => this.#process(ppid));
  }

  #process(ppid: number): number {
    const pid = this.#pid++;
    this.#emit({
      ts: this.#ts,
      type: 'process.seen',
      entity: processId(pid),
      pid,
      value: 0,
      attrs: { start: START_NS, comm: 'python3', ppid },
      probe: 'process',
    });
    return pid;
  }

  #flows(owners: readonly number[]): void {
    for (let i = 0; i < this.#sizes.flows; i++) {
      const pid = owners[i] ?? FIRST_PID;
      const attrs: FlowAttrs = {
        ...flowOf(i, i % 50 === 0),
        owner: { last: { pid, start: START_NS, how: 'send', comm: 'python3' } },
      };
      this.#emit({
        ts: this.#ts,
        type: 'transport.state',
        entity: entityOf(i),
        pid,
        value: 0,
        attrs,
        probe: 'tcp',
      });
    }
  }

  #pipes(pids: readonly number[]): void {
    for (let i = 0; i < this.#sizes.pipes; i++) {
      this.#holders(
        pipeId(i),
        Array.from({ length: HOLDERS_A_PIPE }, () => this.#any(pids)),
      );
    }
    for (let i = 0; i < this.#sizes.unixSockets; i++) this.#holders(unixId(i), [this.#any(pids)]);
  }

  /** Pipes that a thousand processes have open, and their readers. */
  #crowds(pids: readonly number[]): number[] {
    const readers: number[] = [];
    for (let i = 0; i < this.#sizes.crowdedPipes; i++) {
      const id = pipeId(this.#sizes.pipes + i);
      this.#holders(
        id,
        Array.from({ length: HOLDERS_CROWDED }, (_, n) => pids[(i * 97 + n) % pids.length] ?? FIRST_PID),
      );
      const reader = this.#process(FIRST_PID);
      this.#pipeWait(reader, reader, id);
      readers.push(reader);
    }
    return readers;
  }

  /** Each reads from a pipe that only the next one writes to; the last one reads from a stuck flow. */
  #chains(root: number): number[] {
    const heads: number[] = [];
    for (let i = 0; i < this.#sizes.chains; i++) {
      const pids = this.#processes(CHAIN_LENGTH, root);
      for (const [n, pid] of pids.entries()) {
        const next = pids[n + 1];
        if (next === undefined) {
          this.#flowWait(pid, pid, 0);
          continue;
        }
        const id = pipeId(this.#sizes.pipes + this.#sizes.crowdedPipes + i * CHAIN_LENGTH + n);
        this.#holders(id, [next]);
        this.#pipeWait(pid, pid, id);
      }
      heads.push(...pids);
    }
    return heads;
  }

  #threads(pid: number, count: number): void {
    for (let n = 0; n < count; n++) this.#oneThread(pid, n === 0 ? pid : this.#tid++);
  }

  #oneThread(pid: number, tid: number): void {
    const dice = this.#dice;
    const wait = this.#wait(tid);
    switch (dice.roll(8)) {
      case 0:
        this.#apply('wait.run', pid, processId(pid), wait);
        return;
      case 1:
      case 2:
        this.#apply('wait.futex', pid, futexId(pid, dice.roll(2)), wait);
        return;
      case 3:
        this.#lockWait(pid, wait);
        return;
      case 4:
        this.#flowWait(pid, tid, dice.roll(this.#sizes.flows));
        return;
      case 5:
        this.#unixWait(pid, wait);
        return;
      default:
        this.#pipeWait(pid, tid, pipeId(dice.roll(this.#sizes.pipes)));
    }
  }

  #childWait(pid: number): void {
    const attrs: EventCatalogue['wait.child'] = { ...this.#wait(pid), childPid: 0 };
    this.#apply('wait.child', pid, processId(pid), attrs);
  }

  #lockWait(pid: number, wait: WaitAttrs): void {
    const attrs: EventCatalogue['wait.lock'] = { ...wait, ownerTid: pid };
    this.#apply('wait.lock', pid, lockId(pid, 0), attrs);
  }

  #unixWait(pid: number, wait: WaitAttrs): void {
    const attrs: EventCatalogue['wait.unix'] = { ...wait, peer: 1 };
    this.#apply('wait.unix', pid, unixId(this.#dice.roll(this.#sizes.unixSockets)), attrs);
  }

  #poll(pid: number): void {
    const members = Array.from(
      { length: MEMBERS_A_SET },
      (_, fd): PollMember =>
        fd % 2 === 0
          ? { fd, entity: entityOf(1 + this.#dice.roll(40)) }
          : { fd, entity: pipeId(this.#dice.roll(this.#sizes.pipes + this.#sizes.crowdedPipes)) },
    );
    const attrs: EventCatalogue['wait.poll'] = { ...this.#wait(pid), members, nfds: MEMBERS_A_SET };
    this.#apply('wait.poll', pid, pollId(pid, pid), attrs);
  }

  #pipeWait(pid: number, tid: number, entity: string): void {
    const attrs: EventCatalogue['wait.pipe'] = { ...this.#wait(tid), op: 'read', readers: 1, writers: 1 };
    this.#apply('wait.pipe', pid, entity, attrs);
  }

  #flowWait(pid: number, tid: number, i: number): void {
    const attrs: EventCatalogue['wait.tcp'] = { ...this.#wait(tid), flow: flowOf(i, i % 50 === 0) };
    this.#apply('wait.tcp', pid, entityOf(i), attrs);
  }

  #holders(entity: string, pids: readonly number[]): void {
    const holders = pids.map((pid): Holder => ({ pid, start: START_NS, comm: 'python3', fd: 3, mode: 'rw' }));
    this.#emit({
      ts: this.#ts,
      type: 'wait.holders',
      entity,
      value: holders.length,
      attrs: { holders },
      probe: 'waits',
    });
  }

  #wait(tid: number): WaitAttrs {
    const since = this.#ts - 2_000 - this.#dice.roll(60_000);
    return { start: START_NS, tid, comm: 'worker', since, runMs: 10, threads: 1 };
  }

  #apply(type: Event['type'], pid: number, entity: string, attrs: WaitAttrs): void {
    // The callers give each type what it has; TypeScript cannot follow that into a union.
    const event = { ts: this.#ts, type, entity, pid, value: 0, attrs, probe: 'waits' };
    this.#emit(event as unknown as Event);
  }

  #emit(event: Event): void {
    this.#ts += 0.001;
    this.#graph.apply(event);
  }

  #any(pids: readonly number[]): number {
    return pids[this.#dice.roll(pids.length)] ?? FIRST_PID;
  }
}

function entityOf(i: number): string {
  const { local, lport, remote, rport } = flowOf(i, false);
  return flowId(local, lport, remote, rport);
}

function flowOf(i: number, stuck: boolean): FlowAttrs {
  return {
    family: 4,
    local: '10.0.0.1',
    lport: 10_000 + (i % 50_000),
    remote: `10.1.${(i >> 8) & 255}.${i & 255}`,
    rport: 29_500,
    netns: 1,
    state: 'ESTABLISHED',
    caState: stuck ? 'Loss' : 'Open',
    owner: {},
    srttUs: 120,
    rtoMs: 200,
    unackedBytes: stuck ? 1448 : 0,
    writeQueueBytes: stuck ? 1448 : 0,
    rcvQueueBytes: 0,
    sndWndBytes: 65_535,
    backoff: stuck ? 5 : 0,
    probesOut: 0,
    totalRetrans: 5,
    retransmits: 5,
    timeouts: stuck ? 5 : 0,
    bytesAcked: 1_000,
    bytesReceived: 1_000,
    lastRcvMs: 100,
    lastSndMs: 100,
    sndUna: 1,
    sndNxt: 1,
    rcvNxt: 1,
  };
}
