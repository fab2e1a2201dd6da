/**
 * GpuOom: the memory of a GPU is used up. Out of memory is no Xid and no event of the driver: the program alone is
 * told. What is to be seen is a full GPU, and a process of it that ended with an error or gets no further.
 *
 * Full alone says nothing: allocators take all they can get and keep it. So somebody must have taken more just before.
 */
import type { GpuAtExit, GpuHolding, GpuNode } from '../graph/gpu-node.js';
import type { GpuUseAttrs } from '../events/gpu.js';
import { usersOf } from '../graph/gpu-users.js';
import type { ProcessNode, Reading } from '../graph/model.js';
import { CONFIDENCE } from './confidence.js';
import type { Fault } from './finding.js';
import { bytes, duration } from './words.js';

/** Somebody got more, or it became full, within this. */
const NEWS_MS = 60_000;
/** It was seen to be full so long after the end at most. */
const AFTER_MS = 2_000;
const MAX_NAMED = 3;

/** Of a process that ended with an error. */
export function oomCrash(node: GpuNode, process: ProcessNode, at: GpuAtExit): Fault | undefined {
  const { exit } = process;
  if (exit === undefined) return undefined;
  const later = node.full ?? node.lastFull;
  const full = at.full ?? (later !== undefined && later.since <= exit.ts + AFTER_MS ? later : undefined);
  if (full === undefined || full.fact.ts < exit.ts - NEWS_MS) return undefined;
  const users = at.users ?? usersOf(node);
  const news = full.since >= exit.ts - NEWS_MS || users.some(({ grewTs = 0 }) => grewTs >= exit.ts - NEWS_MS);
  return news ? fault(node, full, users, CONFIDENCE.gpuOomDied) : undefined;
}

/** Of one that lives and gets no further: others have the memory. */
export function oomWait(node: GpuNode, process: ProcessNode): Fault | undefined {
  const { full } = node;
  const users = usersOf(node);
  const own = users.find((user) => user.process === process);
  if (full === undefined || own === undefined) return undefined;
  const used = users.reduce((sum, { memoryBytes = 0 }) => sum + memoryBytes, 0);
  if (users.length < 2 || (own.memoryBytes ?? 0) * 2 >= used) return undefined;
  return fault(node, full, users, CONFIDENCE.gpuOomWaits);
}

function fault(
  node: GpuNode,
  full: Reading<GpuUseAttrs>,
  users: readonly GpuHolding[],
  confidence: number,
): Fault {
  const { usedBytes, totalBytes } = full.attrs;
  const figures =
    usedBytes === undefined || totalBytes === undefined
      ? 'nothing left'
      : `${bytes(usedBytes)} of ${bytes(totalBytes)} in use`;
  const held = [...users]
    .filter(({ memoryBytes }) => memoryBytes !== undefined)
    .sort((a, b) => (b.memoryBytes ?? 0) - (a.memoryBytes ?? 0))
    .slice(0, MAX_NAMED);
  const asked = [...users]
    .filter(({ grewTs }) => grewTs !== undefined)
    .sort((a, b) => (b.grewTs ?? 0) - (a.grewTs ?? 0))[0];
  const holders = held.length === 0 ? '' : `; ${held.map(holds).join(', ')}`;
  const last =
    asked?.grewTs === undefined || (held.length === 1 && held[0] === asked)
      ? ''
      : `; ${name(asked)} got memory last`;
  const summary = `the memory of ${node.id} is used up: ${figures}${holders}${last}`;
  return {
    node,
    scene: 'GpuOom',
    subScene: null,
    summary,
    confidence,
    began: full.since,
    facts: [{ ...full.fact, detail: figures }],
    recommendations: [
      held[0] === undefined
        ? 'See who holds the memory: nvidia-smi'
        : `See whether ${name(held[0])} is to hold so much, or is left over from an earlier job: ps -o pid,lstart,cmd -p ${held[0].pid}`,
      'Ask for less: a smaller batch, activation checkpointing, or a share of the memory set in the framework',
    ],
    strength: 'hard',
    ails: 'out-of-memory',
  };
}

function holds(user: GpuHolding): string {
  const { memoryBytes = 0, grownBytes } = user;
  const grew = grownBytes > 0 ? `, ${bytes(grownBytes)} of it in the last ${duration(NEWS_MS)}` : '';
  return `${name(user)} holds ${bytes(memoryBytes)}${grew}`;
}

function name({ pid, comm }: GpuHolding): string {
  return comm === '' ? `${pid}` : `${pid} (${comm})`;
}
