/**
 * How a scene was identified, in a few sentences, so that whoever doubts an answer can follow it: where the chain
 * ends and why there, what was first in time, and that the host was looked at before the network. It says what the
 * walk did (docs/reasoning.md) and decides nothing.
 */
import type { ProcessNode } from '../graph/model.js';
import type { Fault, Outcome } from './finding.js';
import { duration, who } from './words.js';

/** Scenes of which a process that had no CPU would be a poor witness. */
const HOST_FIRST: ReadonlySet<string> = new Set(['NetworkStall', 'NetworkDrop', 'StorageSlow']);

/** Threads are looked at about so often: what is nearer than this may be either way round. */
const SAME_MS = 1_000;

export interface Asked {
  readonly process: ProcessNode;
  /** Event time of the answer, ms. */
  readonly now: number;
  /** GPUs of the process that are idle. */
  readonly idleGpus: number;
  /** Further causes that were found. */
  readonly others: number;
}

export function identifiedBy(outcome: Outcome, asked: Asked): readonly string[] {
  const said = [...ending(outcome, asked), ...hostFirst(outcome, asked.process)];
  if (asked.idleGpus > 0 && outcome.kind !== 'by-design' && outcome.kind !== 'running')
    said.push('an idle GPU is a symptom: it stands before the answer and decides nothing');
  if (asked.others > 0)
    said.push(
      `${asked.others} more with a fault of ${asked.others === 1 ? 'its' : 'their'} own: see the alternatives`,
    );
  return said;
}

function ending(outcome: Outcome, { process, now }: Asked): readonly string[] {
  switch (outcome.kind) {
    case 'fault':
      return ofFault(outcome.fault, outcome.links, process, now);
    case 'symptom':
      return [
        'nothing that it waits for shows a fault of its own on this node: the scene names the symptom, and no cause',
      ];
    case 'unknown':
      return [
        outcome.cutOff === true
          ? 'the chain is longer than is followed: nothing is concluded from the part that was seen'
          : 'it waits, and no fact tells for what: no scene fits',
      ];
    case 'running':
      return ['it makes progress: no scene is looked for'];
    case 'by-design':
      return process.exit === undefined
        ? ['what it waits in is how idle programs wait, and nothing broken was found that it would need']
        : ['it ended with exit code 0'];
  }
}

function ofFault(
  fault: Fault,
  links: Extract<Outcome, { kind: 'fault' }>['links'],
  process: ProcessNode,
  now: number,
): readonly string[] {
  const { node, began, ails } = fault;
  const scene = fault.subScene === null ? fault.scene : `${fault.scene}/${fault.subScene}`;
  const itself = node === process;
  const name = itself ? 'the process itself' : node.type === 'process' ? who(node) : node.id;
  if (fault.strength === 'soft')
    return [
      `the chain ends at ${name}, and nothing on it has a fault of its own: others wait for it, so ${scene}, less sure`,
    ];
  const what = ails === undefined ? '' : ` (${ails.replaceAll('-', ' ')})`;
  const where = itself && links.length === 0 ? name : `${name}, the deepest of the chain that has one,`;
  const [first] = links;
  const said = [`${where} has a fault of its own${what}: ${scene}`];
  if (first !== undefined && first.edge === 'WaitsOn') {
    const lateMs = began - first.since;
    said.push(
      lateMs > SAME_MS
        ? `it began ${duration(now - began)} ago, ${duration(lateMs)} after the wait that it explains`
        : `it began ${duration(now - began)} ago, ${lateMs < -SAME_MS ? 'before' : 'with'} the wait that it explains`,
    );
  }
  return said;
}

/** The walk asks a process's CPUs, limits and memory first; this says with which result. */
function hostFirst(outcome: Outcome, process: ProcessNode): readonly string[] {
  if (outcome.kind !== 'fault' && outcome.kind !== 'symptom') return [];
  const scene = outcome.kind === 'fault' ? outcome.fault.scene : outcome.scene;
  if (!HOST_FIRST.has(scene) || process.exit !== undefined || process.threads.size === 0) return [];
  const percent = Math.round(Math.min(1, process.delayShare) * 100);
  return [
    `the host was looked at first and is not it: ${who(process)} waited for a CPU ${percent} % of the time, ` +
      'and no limit of its cgroup held it back',
  ];
}
