/** Evidence: the facts under a chain, each numbered once. */
import type { Fact } from '../graph/model.js';
import type { Evidence } from './answer.js';

/** The unit of an event type's `value` (events/event.ts says which). */
function unitOf(type: string): string {
  if (type === 'wait.run') return 'ms of CPU';
  if (type === 'wait.holders') return 'processes';
  if (type.startsWith('wait.')) return 'ms';
  switch (type) {
    case 'transport.retransmit':
      return 'segments';
    case 'transport.timeout':
      return 'timeouts in a row';
    case 'transport.zero_window':
    case 'transport.state':
      return 'bytes';
    case 'transport.connect':
    case 'transport.connect_failed':
    case 'transport.recovered':
      return 'ms';
    case 'process.exit':
      return 'exit status';
    case 'storage.use':
    case 'storage.latency':
    case 'storage.rpc':
    case 'compute.throttle':
    case 'gpu.state':
      return 'ms';
    case 'storage.error':
    case 'compute.memory':
    case 'compute.consumers':
    case 'gpu.processes':
    case 'gpu.device':
      return 'bytes';
    case 'storage.space':
    case 'compute.pressure':
    case 'gpu.use':
      return '%';
    case 'storage.users':
    case 'gpu.users':
      return 'processes';
    case 'nccl.enqueue':
      return 'collectives';
    case 'nccl.comm':
      return 'ranks';
    case 'rdma.port':
      return 'Gbit/s';
    case 'rdma.retry':
      return 'retries';
    case 'rdma.completion':
      return 'failed work requests';
    case 'rdma.posts':
      return 'work requests';
    case 'rdma.memory':
      return 'bytes';
    case 'transport.owner':
      return 'pid';
    default:
      return '';
  }
}

export class EvidenceList {
  readonly #byKey = new Map<string, Evidence>();

  /** The id of a fact, given on first sight. */
  add(fact: Fact): string {
    const key = `${fact.type}\0${fact.entity}\0${fact.ts}`;
    const known = this.#byKey.get(key);
    if (known !== undefined) return known.id;
    const evidence = evidenceOf(fact, `e${this.#byKey.size + 1}`);
    this.#byKey.set(key, evidence);
    return evidence.id;
  }

  list(): readonly Evidence[] {
    return [...this.#byKey.values()];
  }
}

/** A fact as answers tell it. */
export function evidenceOf(fact: Fact, id: string): Evidence {
  return {
    id,
    ts: timeText(fact.ts),
    probe: fact.probe,
    type: fact.type,
    entity: fact.entity,
    value: Math.round(fact.value * 1_000) / 1_000,
    unit: unitOf(fact.type),
    ...(fact.detail !== undefined && { detail: fact.detail }),
  };
}

/** RFC 3339 of event time (ms since the epoch). */
export function timeText(ts: number): string {
  return new Date(ts).toISOString();
}
