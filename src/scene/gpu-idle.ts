/**
 * GpuUtilLow: a GPU that does nothing although a process holds it. That is a symptom, never a cause: what the process
 * waits for is. So the walk stays as it is, and what it finds is told as what keeps the GPU idle: which process holds
 * it, which of its threads waits, and the chain from there.
 *
 * - A fault with a node of its own keeps its scene; the idle GPU is evidence under the first link.
 * - Where somebody merely does not act, or nothing is known but the wait, the scene is GpuUtilLow.
 * - A process that sleeps because it was written so (a notebook) holds an idle GPU and is healthy.
 * - A GPU that works is progress: its process's threads may wait, and that explains nothing. A kernel of NCCL that
 *   spins for a peer counts as work, too; so what is known to be broken is told all the same.
 */
import type { Fact, GpuNode, ProcessNode } from '../graph/model.js';
import { CONFIDENCE } from './confidence.js';
import type { Link, Outcome } from './finding.js';
import { count, duration, remoteOf, who } from './words.js';

/** Two looks that see nothing run: between two steps of a training there are shorter pauses. */
const IDLE_MS = 2_000;
/** At rest a GPU is looked at every five seconds; a figure older than two looks says nothing. */
const FRESH_MS = 12_000;
/** What a GPU does changes faster. */
const WORK_MS = 3_000;
/** Per cent; as in graph/gpu.ts. */
const WORK_PERCENT = 2;
/** A process that computes meanwhile may be about to use it again: only a long pause says something. */
const HOST_BOUND_MS = 10_000;
/** Of one CPU, by one of its threads. */
const HOST_BOUND_SHARE = 0.5;
/** So many failed connections are a loop; the last of them is not longer ago than the longest usual pause. */
const MIN_TRIES = 3;
const TRIED_MS = 10_000;
/** Told by name; of more, how many. */
const NAMED = 4;

export interface IdleGpu {
  readonly node: GpuNode;
  /** Event time since which it has been idle under this process. */
  readonly since: number;
  readonly fact: Fact;
  /** It did something while the process held it. */
  readonly worked: boolean;
}

/** GPUs that this process holds and that have done nothing for a while. */
export function idleGpus(process: ProcessNode, now: number): readonly IdleGpu[] {
  const found: IdleGpu[] = [];
  for (const node of heldBy(process)) {
    const user = node.users.get(process.pid);
    const { idleSinceTs, use } = node;
    if (user === undefined || idleSinceTs === undefined || use === undefined) continue;
    if (now - use.fact.ts > FRESH_MS) continue;
    const since = Math.max(idleSinceTs, user.firstTs);
    if (now - since < IDLE_MS) continue;
    const detail = `no kernel ran on it for ${duration(now - since)}`;
    found.push({ node, since, fact: { ...use.fact, detail }, worked: idleSinceTs > user.firstTs });
  }
  return found.sort((a, b) => numberOf(a.node) - numberOf(b.node));
}

/** A GPU on which this process is known to have work now; by its own share where NVML tells one. */
export function gpuAtWork(process: ProcessNode, now: number): GpuNode | undefined {
  return heldBy(process).find((node) => {
    const { use } = node;
    if (use === undefined || now - use.fact.ts > WORK_MS) return false;
    if ((use.attrs.gpuPercent ?? 0) < WORK_PERCENT) return false;
    const share = node.users.get(process.pid)?.smPercent;
    if (share !== undefined) return share > 0;
    // Whose work it is, is known only of one who is alone on it.
    return [...node.users.values()].filter((user) => user.context && user.leftTs === undefined).length === 1;
  });
}

/** Waits of a process whose GPU works are no trouble, unless something is known to be broken. */
export function unlessGpuWorks(process: ProcessNode, now: number, outcome: Outcome): Outcome {
  if (outcome.kind === 'running' || isOfGpu(outcome)) return outcome;
  if (outcome.kind === 'fault' && outcome.fault.strength === 'hard') return outcome;
  // A collective spins on the GPU while it waits for a remote peer.
  if (outcome.kind === 'symptom' && outcome.scene === 'NetworkStall') return outcome;
  return gpuAtWork(process, now) === undefined ? outcome : { kind: 'running', links: [] };
}

/** What the walk found, as the reason why these GPUs are idle. */
export function withIdleGpus(process: ProcessNode, gpus: readonly IdleGpu[], outcome: Outcome): Outcome {
  if (gpus.length === 0 || isOfGpu(outcome)) return outcome;
  const facts = gpus.slice(0, NAMED).map(({ fact }) => fact);
  const [first, ...rest] = outcome.links;
  const links = first === undefined ? [] : [{ ...first, facts: [...first.facts, ...facts] }, ...rest];
  switch (outcome.kind) {
    case 'fault': {
      const { fault } = outcome;
      const scene = fault.strength === 'soft' ? 'GpuUtilLow' : fault.scene;
      const own = first === undefined ? [...fault.facts, ...facts] : fault.facts;
      return { kind: 'fault', fault: { ...fault, scene, facts: own }, links };
    }
    case 'symptom':
      return { ...outcome, links: links.length > 0 ? links : holding(process, gpus) };
    case 'unknown':
      if (outcome.cutOff === true) return { ...outcome, links };
      return {
        kind: 'symptom',
        scene: 'GpuUtilLow',
        subScene: null,
        summary: outcome.summary,
        needs: outcome.needs,
        confidence: CONFIDENCE.gpuIdle,
        links: links.length > 0 ? links : holding(process, gpus),
      };
    case 'running':
      return retrying(process, gpus) ?? hostBound(process, gpus) ?? outcome;
    case 'by-design':
      return retrying(process, gpus) ?? { ...outcome, links };
  }
}

/**
 * An answer's summary with the idle GPU in front: "GPU 0 idle for 12.0 s, its process 42 (python3): thread 43 (loader)
 * reads from an empty pipe; …". Of a process with nothing wrong it is an aside.
 */
export function idleSummary(
  process: ProcessNode,
  gpus: readonly IdleGpu[],
  outcome: Outcome,
  now: number,
  summary: string,
): string {
  if (gpus.length === 0 || isOfGpu(outcome)) return summary;
  const idle = `idle for ${duration(now - Math.max(...gpus.map(({ since }) => since)))}`;
  const names = gpuNames(gpus.map(({ node }) => node));
  if (outcome.kind === 'running' || outcome.kind === 'by-design')
    return `${summary}; ${names}, which it holds, ${gpus.length === 1 ? 'is' : 'are'} ${idle}`;
  const whose = `${names} ${idle}, ${gpus.length === 1 ? 'its' : 'their'} process ${who(process)}`;
  if (outcome.kind !== 'fault') return `${whose}: ${summary}`;
  const thread = threadWords(process, outcome.links[0]);
  if (thread === undefined) return `${whose}: ${summary}`;
  const { node } = outcome.fault;
  const other = node.type === 'process' && node !== process ? who(node) : '';
  return `${whose}: ${thread}; ${other === '' || summary.startsWith(other) ? '' : `${other}: `}${summary}`;
}

/** A GPU that is broken, full or slowed is more than idle. */
function isOfGpu(outcome: Outcome): boolean {
  const scene =
    outcome.kind === 'fault' ? outcome.fault.scene : outcome.kind === 'symptom' ? outcome.scene : undefined;
  return scene === 'GpuError' || scene === 'GpuOom';
}

/** It holds it by its context; where NVML lists nobody, by having it open. */
function heldBy(process: ProcessNode): readonly GpuNode[] {
  const found: GpuNode[] = [];
  for (const { kind, to } of process.out) {
    if (kind !== 'Consumes' || to.type !== 'gpu') continue;
    const user = to.users.get(process.pid);
    if (user?.process !== process || user.leftTs !== undefined) continue;
    // A CUDA program has all GPUs open, and uses some.
    if (user.context || (user.open && !to.listed)) found.push(to);
  }
  return found;
}

/** It sleeps and tries again: between two tries that looks like any other sleep. */
function retrying(process: ProcessNode, gpus: readonly IdleGpu[]): Outcome | undefined {
  const { connectFailures: failed } = process;
  const main = process.threads.get(process.pid);
  if (failed === undefined || main === undefined || failed.count < MIN_TRIES) return undefined;
  // An event loop may try again and again for something that nobody needs.
  if (main.wait.type !== 'wait.sleep' && main.wait.type !== 'wait.tcp' && main.wait.type !== 'wait.run')
    return undefined;
  if (main.seenTs - failed.fact.ts > TRIED_MS || failed.flow.attrs === undefined) return undefined;
  const remote = remoteOf(failed.flow.attrs);
  const refused = failed.errno === 'ECONNREFUSED';
  return {
    kind: 'fault',
    fault: {
      node: failed.flow,
      scene: 'NetworkStall',
      subScene: refused ? 'Refused' : 'ConnectFails',
      summary:
        `${remote} ${refused ? 'refuses its connections: nobody listens there' : 'cannot be reached'} ` +
        `(${failed.errno}, ${count(failed.count, 'try', 'tries')} in ${duration(failed.fact.ts - failed.since)})`,
      confidence: CONFIDENCE.connectAgain,
      began: failed.since,
      facts: [failed.fact],
      recommendations: [
        `See whether whoever should listen at ${remote} (rank 0, the rendezvous, a store) is up, and its address right`,
      ],
      strength: 'hard',
    },
    links: [
      {
        from: process,
        edge: 'Consumes',
        to: failed.flow,
        since: failed.since,
        facts: [failed.fact, ...gpus.slice(0, NAMED).map(({ fact }) => fact)],
        tid: main.tid,
        note: 'tries to connect again and again',
      },
    ],
  };
}

/** It computes and its GPU, which it used before, has nothing to do: not broken, and what there is to know. */
function hostBound(process: ProcessNode, gpus: readonly IdleGpu[]): Outcome | undefined {
  const [gpu] = gpus.filter(({ worked, fact, since }) => worked && fact.ts - since >= HOST_BOUND_MS);
  let busiest = process.threads.get(process.pid);
  for (const thread of process.threads.values())
    if (busiest === undefined || thread.cpuShare > busiest.cpuShare) busiest = thread;
  if (gpu === undefined || busiest === undefined || busiest.cpuShare < HOST_BOUND_SHARE) return undefined;
  const { tid, wait, cpuShare } = busiest;
  return {
    kind: 'symptom',
    scene: 'GpuUtilLow',
    subScene: 'HostBound',
    summary: () =>
      `thread ${tid} (${wait.attrs.comm}) computes on the CPU instead (${Math.round(cpuShare * 100)} % of one)`,
    needs: `what it computes: its stack tells (py-spy dump --pid ${process.pid}, perf top -t ${tid})`,
    confidence: CONFIDENCE.gpuIdle,
    links: holding(process, [gpu]),
  };
}
/** Nothing else is known to begin a chain with. */
function holding(process: ProcessNode, gpus: readonly IdleGpu[]): readonly Link[] {
  return gpus.slice(0, 1).map(({ node, since, fact }) => ({
    from: process,
    edge: 'Consumes',
    to: node,
    since,
    facts: [fact],
    note: 'holds it, and gives it nothing to do',
  }));
}

/** Which thread of the process the chain begins with, and what it does. */
function threadWords(process: ProcessNode, link: Link | undefined): string | undefined {
  if (link?.tid === undefined) return undefined;
  const note = link.note.replace(/^waits on it /, `waits on ${link.to.id} `);
  if (link.tid === process.pid) return `its main thread ${note}`;
  if (note.startsWith('thread ')) return note;
  const comm = process.threads.get(link.tid)?.wait.attrs.comm;
  return `thread ${link.tid}${comm === undefined ? '' : ` (${comm})`} ${note}`;
}

/** By NVML's number; of one that only the kernel log has named there is none. */
function numberOf({ id }: GpuNode): number {
  const index = Number(id.slice('gpu:'.length));
  return Number.isInteger(index) ? index : Number.MAX_SAFE_INTEGER;
}

function gpuNames(nodes: readonly GpuNode[]): string {
  const names = nodes.map(({ id }) => id.slice('gpu:'.length));
  const [only] = names;
  if (only !== undefined && names.length === 1) return `GPU ${only}`;
  if (names.length > NAMED) return `${names.length} GPUs (${names.slice(0, NAMED).join(', ')}, …)`;
  return `GPUs ${names.slice(0, -1).join(', ')} and ${names.at(-1) ?? ''}`;
}
