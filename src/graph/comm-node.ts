/** Nodes of the graph for NCCL's communicators: one for all ranks, each of them a member. */
import type { CommState } from '../events/nccl.js';
import type { Fact, NodeBase } from './model.js';

export interface CommNode extends NodeBase {
  readonly type: 'communicator';
  /** Ranks in all, those on other nodes included; undefined: unknown. */
  nranks: number | undefined;
  /** Of this node, by process and address. */
  readonly members: Map<string, CommMember>;
  /** What every member enqueues is counted: only then can one be behind. */
  counted: boolean;
}

/** One process's part in it. */
export interface CommMember {
  readonly pid: number;
  readonly start: number;
  /** Undefined while it is made. */
  readonly handle: string | undefined;
  readonly tid: number | undefined;
  rank: number | undefined;
  state: CommState;
  /** Event time at which the present state began. */
  since: number;
  collectives: number;
  /** Of the last enqueue, event time; undefined: none was seen. */
  lastTs: number | undefined;
  /** Event time since which others have enqueued more and this one nothing. */
  behindSince: number | undefined;
  fact: Fact;
}

/** A thread inside a call that waits for the GPU. */
export interface GpuWait {
  /** `cuStreamSynchronize` */
  readonly what: string;
  readonly since: number;
  readonly seenTs: number;
  readonly fact: Fact;
}
