/** Uninterruptible sleep on a file or device. */
import type { Thread } from '../graph/model.js';
import { CONFIDENCE } from './confidence.js';
import type { Outcome } from './finding.js';
import { waitFact } from './finding.js';
import { moving, waitLink } from './links.js';
import type { Walk } from './walk.js';
import { duration, waitNote } from './words.js';

/** One sleep is one request: no healthy device takes this long for it. */
const SLOW_MS = 2_000;

export function diskFault(walk: Walk, thread: Thread): Outcome {
  const short = moving(thread);
  if (short !== undefined) return short;
  const node = walk.graph.nodes.get(thread.wait.entity);
  if (node === undefined) {
    return {
      kind: 'unknown',
      summary: () => waitNote(thread),
      needs: 'which device: its file is not known',
      links: [],
    };
  }
  const forMs = walk.now - thread.wait.attrs.since;
  const links = [waitLink(thread, node)];
  if (forMs < SLOW_MS) {
    return {
      kind: 'symptom',
      scene: 'StorageSlow',
      subScene: null,
      summary: () => `${waitNote(thread)} for ${duration(forMs)}`,
      needs: 'whether the device answers: ask again in a moment',
      confidence: CONFIDENCE.waitsForRemotePeer,
      links,
    };
  }
  return {
    kind: 'fault',
    fault: {
      node,
      scene: 'StorageSlow',
      subScene: null,
      summary: `one request on ${node.id} has not been answered for ${duration(forMs)}`,
      confidence: CONFIDENCE.diskWait,
      began: thread.wait.attrs.since,
      facts: [waitFact(thread)],
      recommendations: ['Look at the device and the kernel log: iostat -x 1, dmesg'],
      strength: 'hard',
    },
    links,
  };
}
