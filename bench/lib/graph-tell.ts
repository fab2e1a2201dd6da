/** Facts of a make-believe node, told to a graph as the events that probes would send. */
import type {
  Event,
  EventCatalogue,
  FlowAttrs,
  Holder,
  PollMember,
  WaitAttrs,
} from '../../src/events/event.js';
import { flowId, futexId, lockId, pipeId, pollId, processId } from '../../src/events/ids.js';
import type { StateGraph } from '../../src/graph/state-graph.js';

const NOW_MS = 1_750_000_000_000;
const START_NS = 1_000_000_000;
const FIRST_PID = 1_000;
const FIRST_TID = 1_000_000;
/** Every so many flows one gets no ACKs. */
const STUCK_EVERY = 50;

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

export class Teller {
  readonly dice = new Dice(0x2545_f491);
  readonly #graph: StateGraph;
  #pid = FIRST_PID;
  #tid = FIRST_TID;
  #inode = 1;
  #flow = 1;
  #ts = NOW_MS;

  constructor(graph: StateGraph) {
    this.#graph = graph;
  }

  any(pids: readonly number[]): number {
    return pids[this.dice.roll(pids.length)] ?? FIRST_PID;
  }

  processes(count: number, ppid: number): number[] {
    return Array.from({ length: count }, () => this.process(ppid));
  }

  process(ppid: number): number {
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

  /** A tid that no process has. */
  thread(): number {
    return this.#tid++;
  }

  /** A pipe that `pids` hold. @returns its id */
  pipe(pids: readonly number[]): string {
    const id = pipeId(this.#inode++);
    const holders = pids.map((pid): Holder => ({ pid, start: START_NS, comm: 'python3', fd: 3, mode: 'rw' }));
    this.#emit({
      ts: this.#ts,
      type: 'wait.holders',
      entity: id,
      value: holders.length,
      attrs: { holders },
      probe: 'waits',
    });
    return id;
  }

  /** A connection of `pid`. @returns its number */
  flow(pid: number): number {
    const i = this.#flow++;
    const attrs: FlowAttrs = {
      ...flowOf(i),
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
    return i;
  }

  runs(pid: number, tid: number): void {
    this.#apply('wait.run', pid, processId(pid), this.#wait(tid));
  }

  futex(pid: number, tid: number, address: number): void {
    this.#apply('wait.futex', pid, futexId(pid, address), this.#wait(tid));
  }

  lock(pid: number, tid: number, ownerTid: number): void {
    const attrs: EventCatalogue['wait.lock'] = { ...this.#wait(tid), ownerTid };
    this.#apply('wait.lock', pid, lockId(pid, 1), attrs);
  }

  anyChild(pid: number): void {
    const attrs: EventCatalogue['wait.child'] = { ...this.#wait(pid), childPid: 0 };
    this.#apply('wait.child', pid, processId(pid), attrs);
  }

  reads(pid: number, tid: number, pipe: string): void {
    const attrs: EventCatalogue['wait.pipe'] = { ...this.#wait(tid), op: 'read', readers: 1, writers: 1 };
    this.#apply('wait.pipe', pid, pipe, attrs);
  }

  receives(pid: number, tid: number, i: number): void {
    const attrs: EventCatalogue['wait.tcp'] = { ...this.#wait(tid), flow: flowOf(i) };
    this.#apply('wait.tcp', pid, entityOf(i), attrs);
  }

  /** On flows by number and pipes by id. */
  polls(pid: number, set: readonly (number | string)[]): void {
    const members = set.map(
      (member, fd): PollMember => ({ fd, entity: typeof member === 'string' ? member : entityOf(member) }),
    );
    const attrs: EventCatalogue['wait.poll'] = { ...this.#wait(pid), members, nfds: members.length };
    this.#apply('wait.poll', pid, pollId(pid, pid), attrs);
  }

  #wait(tid: number): WaitAttrs {
    const since = this.#ts - 2_000 - this.dice.roll(60_000);
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
}

function entityOf(i: number): string {
  const { local, lport, remote, rport } = flowOf(i);
  return flowId(local, lport, remote, rport);
}

function flowOf(i: number): FlowAttrs {
  const stuck = i % STUCK_EVERY === 0;
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
