/**
 * Functions of libnccl and libcuda that are looked at: which program at their entry, which at their return, and of
 * which class they are. Only calls that are rare by themselves, and the enqueues, which can be taken off.
 */
import { XctlGpuCall } from '../kernel/abi.generated.js';

export type GpuLibraryName = 'libnccl' | 'libcuda';
/**
 * `comm`: making and ending a communicator. `ask`: which rank, of how many. `enqueue`: collectives, sends, receives.
 * `sync`: waits for the GPU.
 */
export type TraceClass = 'comm' | 'ask' | 'enqueue' | 'sync';

export interface TracedFunction {
  readonly library: GpuLibraryName;
  readonly symbol: string;
  readonly class: TraceClass;
  /** Slots of the object gpu_trace. */
  readonly entry: string;
  readonly atReturn?: string;
  /** An older or newer library may lack it without anything being amiss. */
  readonly optional?: true;
}

/** The order counts: a communicator whose init is seen has all of its enqueues and splits seen too. */
export const TRACED: readonly TracedFunction[] = [
  ...['ncclAllReduce', 'ncclReduceScatter', 'ncclBroadcast'].map((symbol) =>
    enqueue(symbol, 'nccl_collective_arg6'),
  ),
  enqueue('ncclAllGather', 'nccl_collective_arg5'),
  enqueue('ncclReduce', 'nccl_collective_arg7'),
  ...['ncclSend', 'ncclRecv'].map((symbol) => ({
    ...enqueue(symbol, 'nccl_p2p_arg5'),
    optional: true as const,
  })),
  comm('ncclCommAbort', 'nccl_abort'),
  comm('ncclCommDestroy', 'nccl_destroy'),
  { ...comm('ncclCommFinalize', 'nccl_finalize'), optional: true },
  { ...comm('ncclCommSplit', 'nccl_split', 'nccl_init_return'), optional: true },
  { ...comm('ncclCommShrink', 'nccl_shrink', 'nccl_init_return'), optional: true },
  ask('ncclCommUserRank', 'nccl_user_rank'),
  ask('ncclCommCount', 'nccl_count'),
  comm('ncclCommInitRank', 'nccl_init_rank', 'nccl_init_return'),
  { ...comm('ncclCommInitRankConfig', 'nccl_init_rank_config', 'nccl_init_return'), optional: true },
  { ...comm('ncclCommInitRankScalable', 'nccl_init_rank_scalable', 'nccl_init_return'), optional: true },
  comm('ncclCommInitAll', 'nccl_init_all', 'nccl_init_all_return'),
  sync('cuStreamSynchronize', 'cuda_stream_sync'),
  // What programs compiled for one default stream a thread call.
  { ...sync('cuStreamSynchronize_ptsz', 'cuda_stream_sync'), optional: true },
  sync('cuEventSynchronize', 'cuda_event_sync'),
  sync('cuCtxSynchronize', 'cuda_ctx_sync'),
];

function enqueue(symbol: string, entry: string): TracedFunction {
  return { library: 'libnccl', symbol, class: 'enqueue', entry };
}

function comm(symbol: string, entry: string, atReturn?: string): TracedFunction {
  return { library: 'libnccl', symbol, class: 'comm', entry, ...(atReturn !== undefined && { atReturn }) };
}

function ask(symbol: string, entry: string): TracedFunction {
  return {
    library: 'libnccl',
    symbol,
    class: 'ask',
    entry,
    atReturn: 'nccl_ask_return',
    optional: true,
  };
}

function sync(symbol: string, entry: string): TracedFunction {
  return { library: 'libcuda', symbol, class: 'sync', entry, atReturn: 'cuda_sync_return' };
}

/** `enum xctl_gpu_call` → the function, as its library spells it. */
const CALLS: Readonly<Record<number, string>> = {
  [XctlGpuCall.INIT_RANK]: 'ncclCommInitRank',
  [XctlGpuCall.INIT_RANK_CONFIG]: 'ncclCommInitRankConfig',
  [XctlGpuCall.INIT_RANK_SCALABLE]: 'ncclCommInitRankScalable',
  [XctlGpuCall.INIT_ALL]: 'ncclCommInitAll',
  [XctlGpuCall.SPLIT]: 'ncclCommSplit',
  [XctlGpuCall.FINALIZE]: 'ncclCommFinalize',
  [XctlGpuCall.DESTROY]: 'ncclCommDestroy',
  [XctlGpuCall.ABORT]: 'ncclCommAbort',
  [XctlGpuCall.SHRINK]: 'ncclCommShrink',
  [XctlGpuCall.STREAM_SYNC]: 'cuStreamSynchronize',
  [XctlGpuCall.EVENT_SYNC]: 'cuEventSynchronize',
  [XctlGpuCall.CTX_SYNC]: 'cuCtxSynchronize',
};

export function callName(call: number): string {
  return CALLS[call] ?? `call ${call}`;
}
