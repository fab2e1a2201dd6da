/**
 * Waits that no sample of a thread shows: inside a call that waits for the GPU a thread mostly spins, and what it
 * waits for is a collective that another rank has not begun.
 *
 * - A rank that has enqueued fewer collectives than another on this node, and none for a while, is the one that all
 *   others of its communicator wait for. That is a fact of NCCL: every rank enqueues the same ones in one order. What
 *   that rank itself waits for is the walk's to find.
 * - Where all ranks here have enqueued as many, it is a rank elsewhere, or the GPU: a symptom.
 * - How long a collective's function took is never looked at: it only enqueues.
 */
import type { CommMember, CommNode } from '../graph/comm-node.js';
import type { Fact, ProcessNode, Thread } from '../graph/model.js';
import { CONFIDENCE } from './confidence.js';
import type { Fault, Link, Outcome } from './finding.js';
import { waitFact } from './finding.js';
import { extend, STUCK_MS } from './links.js';
import type { Step, Walk } from './walk.js';
import { count, duration, waitNote, who } from './words.js';

/** Ranks drift apart by what one of them loads or saves; this is longer. */
const BEHIND_MS = 3_000;
/** The probe says it again every second; a wait that it has not spoken of for so long may be over. */
const FRESH_MS = 10_000;
/** A kernel may take a while, a step that was enqueued at once still longer. */
const LONG_KERNEL_MS = 5_000;
const LONG_STEP_MS = 30_000;
/** Making a communicator takes seconds on a large job. */
const LONG_INIT_MS = 15_000;
const NAMED_RANKS = 8;

/**
 * Whom `process` waits for through NCCL.
 * @param shown what the waits of its threads say; a fault that is harder goes before
 */
export function ncclWait(
  walk: Walk,
  process: ProcessNode,
  path: readonly Step[],
  shown: Outcome,
): Outcome | undefined {
  if (shown.kind === 'fault' && shown.fault.strength === 'hard') return undefined;
  const waiting = longestGpuWait(process, walk.now);
  const idle = shown.kind === 'unknown' || shown.kind === 'by-design';
  if (waiting === undefined && !idle && shown.kind !== 'symptom') return undefined;
  const comms = communicatorsOf(process);
  if (waiting !== undefined || idle) {
    const behind = rankBehind(walk, process, comms, waiting);
    if (behind !== undefined) return blockedByRank(walk, process, path, waiting, behind);
  }
  if (waiting === undefined) return initPending(process, comms, walk.now);
  return shown.kind === 'fault' ? undefined : elsewhere(process, comms, waiting, walk.now);
}

/** A thread that spins for a GPU seems to run. Nobody is to blame for that: what the GPU does is another question. */
export function gpuSync(process: ProcessNode, now: number, shown: Outcome): Outcome | undefined {
  if (shown.kind === 'fault') return undefined;
  const wait = longestGpuWait(process, now)?.gpuWait;
  if (wait === undefined || now - wait.since < LONG_KERNEL_MS) return undefined;
  return {
    kind: 'symptom',
    scene: 'ProcessBlocked',
    subScene: 'GpuSync',
    summary: () =>
      `is in ${wait.what} for ${duration(now - wait.since)}: the GPU has not done what it was given`,
    needs: 'what the GPU does: a kernel that does not end, or a collective that a peer has not begun',
    confidence: CONFIDENCE.gpuSync,
    links: [],
  };
}

/** CPU time of threads that spin for a GPU is no progress. */
export function spinShare(process: ProcessNode, now: number): number {
  let share = 0;
  for (const thread of process.threads.values()) if (isWaiting(thread, now)) share += thread.cpuShare;
  return share;
}

function isWaiting({ gpuWait }: Thread, now: number): boolean {
  return gpuWait !== undefined && now - gpuWait.seenTs <= FRESH_MS && now - gpuWait.since >= STUCK_MS;
}

function longestGpuWait(process: ProcessNode, now: number): Thread | undefined {
  let longest: Thread | undefined;
  for (const thread of process.threads.values()) {
    if (!isWaiting(thread, now)) continue;
    if (longest === undefined || (thread.gpuWait?.since ?? 0) < (longest.gpuWait?.since ?? 0))
      longest = thread;
  }
  return longest;
}

function communicatorsOf(process: ProcessNode): readonly CommNode[] {
  const found: CommNode[] = [];
  for (const { kind, to } of process.out)
    if (kind === 'Consumes' && to.type === 'communicator') found.push(to);
  return found;
}

interface Behind {
  readonly comm: CommNode;
  readonly member: CommMember;
  readonly since: number;
  /** Of the process that waits. */
  readonly own: CommMember;
}

/** The rank that holds up most: of several communicators, the one in which it has been behind for longest. */
function rankBehind(
  walk: Walk,
  process: ProcessNode,
  comms: readonly CommNode[],
  waiting: Thread | undefined,
): Behind | undefined {
  let found: Behind | undefined;
  for (const comm of comms) {
    if (!comm.counted) continue;
    const own = furthest(comm, process);
    // It has just enqueued: it gets on.
    if (own === undefined || (waiting === undefined && walk.now - (own.lastTs ?? walk.now) < BEHIND_MS))
      continue;
    for (const member of comm.members.values()) {
      const { behindSince, pid, collectives } = member;
      if (behindSince === undefined || walk.now - behindSince < BEHIND_MS) continue;
      if (pid === process.pid || collectives >= own.collectives) continue;
      const fewer = found === undefined || found.comm !== comm || collectives < found.member.collectives;
      if (found !== undefined && (found.comm === comm ? !fewer : found.since <= behindSince)) continue;
      found = { comm, member, since: behindSince, own };
    }
  }
  return found;
}

/** Of the ranks that this process is in a communicator with, the one that has enqueued most. */
function furthest(comm: CommNode, { pid, start }: ProcessNode): CommMember | undefined {
  let own: CommMember | undefined;
  for (const member of comm.members.values()) {
    if (member.pid !== pid || member.start !== start) continue;
    if (own === undefined || member.collectives > own.collectives) own = member;
  }
  return own;
}

function blockedByRank(
  walk: Walk,
  process: ProcessNode,
  path: readonly Step[],
  waiting: Thread | undefined,
  behind: Behind,
): Outcome {
  const { comm, member, own } = behind;
  const node = walk.graph.process(member.pid);
  const peer = node?.start === member.start ? node : undefined;
  const links: Link[] = [waitsOn(process, waiting, comm, behind)];
  if (peer === undefined) {
    const fault = rankFault(behind, comm, walk.now, `its process ${member.pid} has ended`, []);
    return { kind: 'fault', fault: { ...fault, strength: 'hard' }, links };
  }
  links.push({
    from: comm,
    edge: 'BlockedBy',
    to: peer,
    since: behind.since,
    facts: [member.fact],
    note: `${rankOf(member)} has enqueued ${member.collectives} collectives, ${rankOf(own)} ${own.collectives}`,
  });
  const here: Step = { process, thread: waiting };
  const end = walk.process(peer, [...path, here]);
  return extend(links, end, (kind) => {
    const main = peer.threads.get(peer.pid);
    const facts = main === undefined ? [] : [waitFact(main)];
    const fault = rankFault(behind, peer, walk.now, `${who(peer)} ${doing(peer, member, main, kind)}`, facts);
    return kind === 'by-design' && peer.exit !== undefined ? { ...fault, strength: 'hard' } : fault;
  });
}

function waitsOn(process: ProcessNode, waiting: Thread | undefined, comm: CommNode, behind: Behind): Link {
  const wait = waiting?.gpuWait;
  return {
    from: process,
    edge: 'WaitsOn',
    to: comm,
    since: wait?.since ?? behind.since,
    facts: wait === undefined ? [behind.own.fact] : [wait.fact, behind.own.fact],
    ...(waiting !== undefined && { tid: waiting.tid }),
    note:
      wait === undefined
        ? `is ${rankOf(behind.own)}, and has enqueued all it can`
        : `is in ${wait.what}, as ${rankOf(behind.own)}`,
  };
}

function doing(
  peer: ProcessNode,
  { state }: CommMember,
  main: Thread | undefined,
  kind: 'running' | 'by-design' | 'unknown',
): string {
  if (peer.exit !== undefined) return 'has ended';
  if (state === 'aborted') return 'has aborted the communicator';
  if (state === 'destroyed') return 'has destroyed the communicator';
  if (kind === 'running') return 'does other things';
  return main === undefined ? 'is idle' : waitNote(main);
}

function rankFault(
  { member, own, since }: Behind,
  node: Fault['node'],
  now: number,
  what: string,
  facts: readonly Fact[],
): Fault {
  const than = `${member.collectives} collectives, ${rankOf(own)} ${own.collectives}`;
  return {
    node,
    scene: 'ProcessBlocked',
    subScene: 'NcclRankBehind',
    summary: `${rankOf(member)} is behind for ${duration(now - since)} (it has enqueued ${than}): ${what}`,
    confidence: CONFIDENCE.rankBehind,
    began: since,
    facts: [member.fact, ...facts],
    recommendations: [
      `Look at what process ${member.pid} does instead of the next collective: its stack tells (gdb -p ${member.pid}, py-spy dump)`,
    ],
    strength: 'soft',
  };
}

/** All ranks here have enqueued as many, and there are more elsewhere. */
function elsewhere(
  process: ProcessNode,
  comms: readonly CommNode[],
  waiting: Thread,
  now: number,
): Outcome | undefined {
  const wait = waiting.gpuWait;
  if (wait === undefined || now - wait.since < LONG_STEP_MS) return undefined;
  for (const comm of comms) {
    const own = furthest(comm, process);
    const here = present(comm);
    if (!comm.counted || own === undefined || own.collectives === 0) continue;
    if (comm.nranks === undefined || here.length >= comm.nranks) continue;
    return {
      kind: 'symptom',
      scene: 'NetworkStall',
      subScene: 'NcclRemote',
      summary: () =>
        `is in ${wait.what} for ${duration(now - wait.since)}; the ${count(here.length, 'rank')} of ${comm.nranks} that are on this node have all enqueued ${count(own.collectives, 'collective')}`,
      needs: 'which rank elsewhere is behind: ask the agents there',
      confidence: CONFIDENCE.gpuSync,
      links: [{ ...syncLink(process, waiting, comm), facts: [wait.fact, own.fact] }],
    };
  }
  return undefined;
}

/** It is still making a communicator, which takes all ranks. */
function initPending(process: ProcessNode, comms: readonly CommNode[], now: number): Outcome | undefined {
  for (const comm of comms) {
    for (const member of comm.members.values()) {
      const { pid, start, state, since, rank } = member;
      if (pid !== process.pid || start !== process.start || state !== 'init') continue;
      if (now - since < LONG_INIT_MS) continue;
      return {
        kind: 'symptom',
        scene: 'NetworkStall',
        subScene: 'NcclInit',
        summary: () =>
          `has been making a communicator for ${duration(now - since)}${rank === undefined ? '' : ` as ${rankOf(member)}`}${absentRanks(comm)}`,
        needs: 'why the other ranks have not come: ask for their processes, here and on the other nodes',
        confidence: CONFIDENCE.gpuSync,
        links: [syncLink(process, undefined, comm, since, member.fact)],
      };
    }
  }
  return undefined;
}

function absentRanks(comm: CommNode): string {
  const { nranks } = comm;
  if (nranks === undefined) return '';
  const here = new Set(present(comm).map(({ rank }) => rank));
  const absent: number[] = [];
  for (let rank = 0; rank < nranks && absent.length <= NAMED_RANKS; rank++)
    if (!here.has(rank)) absent.push(rank);
  if (absent.length === 0) return `; all ${nranks} ranks have come`;
  const names = absent.slice(0, NAMED_RANKS).join(', ');
  const more = absent.length > NAMED_RANKS ? ', …' : '';
  return `; of ${nranks} ranks, those that nobody on this node has come as are ${names}${more}`;
}

function present(comm: CommNode): readonly CommMember[] {
  return [...comm.members.values()].filter(({ state }) => state !== 'destroyed' && state !== 'aborted');
}

function syncLink(
  process: ProcessNode,
  waiting: Thread | undefined,
  comm: CommNode,
  since = waiting?.gpuWait?.since ?? 0,
  fact?: Fact,
): Link {
  return {
    from: process,
    edge: 'WaitsOn',
    to: comm,
    since,
    facts: fact === undefined ? [] : [fact],
    ...(waiting !== undefined && { tid: waiting.tid }),
    note: waiting?.gpuWait === undefined ? 'is making a communicator' : `is in ${waiting.gpuWait.what}`,
  };
}

function rankOf({ rank, pid }: CommMember): string {
  return rank === undefined ? `the rank of process ${pid}` : `rank ${rank}`;
}
