/**
 * What probe `gpu-trace` sees of NCCL's communicators and of threads that wait for a GPU, as attributes of the
 * nccl.* events and of `wait.gpu`. Absent fields are unknown, never 0: a communicator that was made before the agent
 * came has no rank until the program asks for it, and one that was split off has none until all have said their part.
 */

/** `init`: a thread is in the call that makes it. `failed`: that call gave none, or gives it later. */
export type CommState = 'init' | 'ready' | 'failed' | 'finalized' | 'destroyed' | 'aborted';

/** One process's part in a communicator; entity `comm:…`, the same for all ranks of one communicator. */
export interface CommAttrs {
  readonly start: number;
  /** Its address in the process, which may be given out anew after it is destroyed; absent while it is made. */
  readonly handle?: string;
  readonly state: CommState;
  /** The function of NCCL, as it spells it. */
  readonly call: string;
  /** Thread that called it. */
  readonly tid: number;
  readonly rank?: number;
  readonly nranks?: number;
  /** `ncclResult_t` of the init call, when it has returned. */
  readonly result?: number;
  /** When the init call was entered, event time, ms. */
  readonly since?: number;
  /** At the end of it: all that was enqueued. */
  readonly collectives?: number;
  readonly p2p?: number;
}

/** How much was enqueued on it so far; nothing of this says that it has run. */
export interface EnqueueAttrs {
  readonly start: number;
  readonly handle: string;
  readonly collectives: number;
  /** Sends and receives, of which ranks need not do as many. */
  readonly p2p: number;
  /** Of the last one, event time, ms; absent: none yet. */
  readonly last?: number;
  readonly rank?: number;
  readonly nranks?: number;
  /** The counters were taken off: these are the last, and may be behind. */
  readonly stopped?: true;
}

/** A thread is inside a call that waits for the GPU, which mostly spins. */
export interface GpuWaitAttrs {
  readonly start: number;
  readonly tid: number;
  /** `cuStreamSynchronize`, … */
  readonly what: string;
  /** It was entered, event time, ms. */
  readonly since: number;
  /** It has returned, or its thread has ended. */
  readonly over?: true;
}
