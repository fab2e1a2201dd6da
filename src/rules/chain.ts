/** A finding as rules look at it: the nodes of its chain, in order, with what is known of each. */
import { gpuPciId } from '../events/ids.js';
import { attrsOf, type NodeAttrs } from '../graph/attributes.js';
import { RESOURCE_PREFIXES } from '../graph/model.js';
import type { StateGraph } from '../graph/state-graph.js';
import type { Evidence, Finding, WhyAnswer } from '../scene/answer.js';

/** Types that conditions and placeholders may name. */
export const NODE_TYPES = [
  'process',
  'flow',
  'peer',
  'block-device',
  'filesystem',
  'cgroup',
  'communicator',
  'gpu',
  'rdma-port',
  'qp',
  'pipe',
  'unix-socket',
  'lock',
  'futex',
  'poll-set',
  'file',
  'device',
  'link',
  'error',
  'nvswitch',
  'thing',
] as const;

const PREFIXES: Readonly<Record<string, string>> = {
  ...RESOURCE_PREFIXES,
  pid: 'process',
  flow: 'flow',
  peer: 'peer',
  block: 'block-device',
  fs: 'filesystem',
  cgroup: 'cgroup',
  comm: 'communicator',
  gpu: 'gpu',
  rdma: 'rdma-port',
  qp: 'qp',
};

export interface ChainNode {
  readonly id: string;
  readonly type: string;
  /** Of the graph as it is now; none where it does not know the node any more. */
  readonly attrs: NodeAttrs;
  /** Other ids that events call it by: the kernel log knows a GPU by its PCI address. */
  readonly aliases: readonly string[];
  /** Events before are of another one with the same id: pids and ports are used again. */
  readonly sinceTs: number;
}

export interface Subject {
  readonly answer: WhyAnswer;
  readonly finding: Finding;
  /** 0: the answer's own; n: of the alternatives. */
  readonly index: number;
  readonly nodes: readonly ChainNode[];
  readonly target: ChainNode;
  readonly cause: ChainNode | undefined;
  /** `latency` of `error:latency/block:sda`. */
  readonly ailment: string | undefined;
  readonly evidence: readonly Evidence[];
}

/** A process's first events may be a little older than its node. */
const SLACK_MS = 1_000;

/** The answer's own finding and the alternatives. @param graph absent: nodes have no attributes */
export function subjectsOf(answer: WhyAnswer, graph: StateGraph | undefined): readonly Subject[] {
  return [answer, ...(answer.alternatives ?? [])].map((finding, index) =>
    subjectOf(answer, finding, index, graph),
  );
}

function subjectOf(
  answer: WhyAnswer,
  finding: Finding,
  index: number,
  graph: StateGraph | undefined,
): Subject {
  const targetId = `pid:${answer.target.pid}`;
  const nodeOf = (id: string): ChainNode => chainNode(id, answer, graph);
  const causeId = finding.rootCause?.node;
  const ids = new Set([
    targetId,
    ...finding.chain.flatMap(({ from, to }) => [from, to]),
    ...(causeId === undefined ? [] : [causeId]),
  ]);
  const nodes = [...ids].map(nodeOf);
  const end = finding.chain.at(-1);
  const ailment =
    end !== undefined && end.from === causeId ? /^error:([^/]+)\//.exec(end.to)?.[1] : undefined;
  return {
    answer,
    finding,
    index,
    nodes,
    target: nodeOf(targetId),
    cause: causeId === undefined ? undefined : nodeOf(causeId),
    ailment,
    evidence: finding.evidence,
  };
}

function chainNode(id: string, answer: WhyAnswer, graph: StateGraph | undefined): ChainNode {
  const node = graph?.nodes.get(id);
  const type = typeOfId(id);
  const reused = type === 'process' || type === 'flow';
  const own =
    id === `pid:${answer.target.pid}` ? Date.parse(answer.target.startTime) : Number.NEGATIVE_INFINITY;
  const seen = node === undefined || !reused ? own : Math.max(own, node.firstTs);
  return {
    id,
    type,
    attrs: node === undefined ? {} : attrsOf(node),
    aliases: aliasesOf(id, graph),
    sinceTs: seen - SLACK_MS,
  };
}

function aliasesOf(id: string, graph: StateGraph | undefined): readonly string[] {
  if (graph === undefined || !id.startsWith('gpu:')) return [];
  const known = graph.nodes.get(id);
  const gpu = known?.type === 'gpu' ? known : graph.gpusByPci.get(nameOfId(id));
  const pci = gpu?.device?.attrs.pci ?? gpu?.pci;
  return [gpu?.id, pci === undefined ? undefined : gpuPciId(pci)].filter(
    (other): other is string => other !== undefined && other !== id,
  );
}

export function typeOfId(id: string): string {
  return PREFIXES[id.slice(0, Math.max(0, id.indexOf(':')))] ?? 'thing';
}

/** `nvme0n1` of `block:nvme0n1`; the mount point of a filesystem in another namespace. */
export function nameOfId(id: string): string {
  return id.slice(id.indexOf(':') + 1).replace(/@mnt:\d+$/, '');
}

/** The last of this type before what ails it: the nearest to the cause. */
export function lastOfType({ nodes, target }: Subject, type: string): ChainNode | undefined {
  const found = nodes.filter((node) => node.type === type);
  return type === 'process' ? (found.findLast((node) => node.id !== target.id) ?? target) : found.at(-1);
}
