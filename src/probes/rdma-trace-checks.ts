/** Probe `rdma-trace` in `xctl doctor`: what is looked at, what it costs, what was taken off, and what cannot be seen. */
import type { Check } from '../util/check.js';
import type { VerbsBudget } from './rdma-trace-budget.js';
import type { TracedProvider, TracedProviders } from './rdma-trace-files.js';
import type { MappedProvider } from './rdma-trace-places.js';
import type { PostTables } from './rdma-trace-tables.js';
import type { VerbsWalk } from './rdma-trace-walk.js';
import { percent } from './uprobe-budget.js';
import type { MapWatch } from './uprobe-watch.js';

export interface VerbsParts {
  readonly failure: string | undefined;
  readonly devices: number;
  /** Undefined until there is a device. */
  readonly running:
    | { readonly files: TracedProviders; readonly walk: VerbsWalk; readonly tables: PostTables }
    | undefined;
  readonly watch: MapWatch<MappedProvider>;
  readonly budget: VerbsBudget;
  /** Processes with queue pairs whose posts are not seen. */
  readonly unseen: number;
  /** Why a post's cost was not measured here. */
  readonly unmeasured: string | undefined;
  /** Why the agent's own look at the devices told nothing. */
  readonly ownFailure: string | undefined;
  /** A call of libibverbs that does not come back. */
  readonly hung: string | undefined;
}

const NAME = 'probe rdma-trace';

export function verbsChecks(parts: VerbsParts): readonly Check[] {
  const { failure, running, watch } = parts;
  if (failure !== undefined) return [{ status: 'failed', name: NAME, detail: failure }];
  if (running === undefined)
    return [{ status: 'off', name: NAME, detail: 'no RDMA device that programs can open' }];
  const { files, walk, tables } = running;
  return [
    summary(parts, files, tables),
    ...files.files.flatMap(fileCheck),
    ...crowdCheck(files),
    ...unseenCheck(parts),
    ...ownCheck(parts, files),
    ...walkCheck(walk),
    ...unprovenCheck(tables),
    ...hungCheck(watch),
    costCheck(parts),
  ];
}

function summary({ devices, watch }: VerbsParts, files: TracedProviders, tables: PostTables): Check {
  const traced = files.files.filter(({ state }) => state === 'traced').length;
  // libibverbs loads every provider that it has: most are of no device here.
  const others =
    files.untold === 0 ? '' : ` (${files.untold} more are mapped, and nothing tells that they are used)`;
  const detail =
    traced + files.untold === 0
      ? `${devices} devices, ${watch.size} processes looked at, none maps a provider library yet`
      : `${devices} devices, post_send in ${traced} provider libraries${others}, ${tables.qps} queue pairs posted to`;
  return { status: 'ok', name: NAME, detail };
}

function fileCheck({ mapped, state, failure }: TracedProvider): readonly Check[] {
  if (state !== 'failed') return [];
  const detail = `${mapped.path}: ${failure ?? 'unknown'}`;
  return [{ status: 'degraded', name: `${NAME}/provider`, detail }];
}

function unseenCheck({ unseen }: VerbsParts): readonly Check[] {
  if (unseen === 0) return [];
  const detail = `${unseen} processes have queue pairs that lead to no provider library with a probe: linked in statically, or made without libibverbs`;
  return [{ status: 'degraded', name: `${NAME}/processes`, detail }];
}

function crowdCheck({ refused }: TracedProviders): readonly Check[] {
  if (refused === 0) return [];
  const detail = `${refused} more copies of provider libraries are not looked at: the limit is reached`;
  return [{ status: 'degraded', name: `${NAME}/files`, detail }];
}

/** Not a fault as long as processes' own queue pairs lead to the function. */
function ownCheck({ ownFailure, hung }: VerbsParts, files: TracedProviders): readonly Check[] {
  const name = `${NAME}/libibverbs`;
  if (hung !== undefined) {
    const detail = `${hung} does not come back: the agent's own look at the devices tells nothing`;
    return [{ status: 'degraded', name, detail }];
  }
  if (ownFailure === undefined) return [];
  const found = files.files.some(({ state }) => state === 'traced');
  const detail = `${ownFailure}; functions are found by processes' queue pairs alone`;
  return [{ status: found ? 'ok' : 'degraded', name, detail }];
}

function walkCheck({ refusal }: VerbsWalk): readonly Check[] {
  if (refusal === undefined) return [];
  const detail = `queue pairs are not walked (${refusal}): builds other than the agent's own are not found, and a queue pair is what its process says`;
  return [{ status: 'degraded', name: `${NAME}/queue pairs`, detail }];
}

function unprovenCheck({ unproven }: PostTables): readonly Check[] {
  if (unproven === 0) return [];
  const detail = `${unproven} queue pairs were gone before the kernel was asked for them: their posts are not told`;
  return [{ status: 'ok', name: `${NAME}/unproven`, detail }];
}

function hungCheck({ hungAt }: MapWatch<MappedProvider>): readonly Check[] {
  if (hungAt === undefined) return [];
  const detail = `reading the memory map of process ${hungAt} does not come back: no further libraries are found`;
  return [{ status: 'degraded', name: `${NAME}/search`, detail }];
}

function costCheck({ budget, unmeasured }: VerbsParts): Check {
  const { used, rates, share, off, measuredNs } = budget;
  const name = `${NAME}/cost`;
  const how =
    measuredNs === undefined ? `not measured here: ${unmeasured ?? 'not yet'}` : 'measured on this machine';
  const price = `${(budget.price() / 1_000).toFixed(2)} us a post, ${how}`;
  const detail = `${percent(used)} of a core of ${percent(share)} (${price}, x ${Math.round(rates.post)}/s)`;
  if (off.size === 0) return { status: 'ok', name, detail };
  const first = 'over budget, taken off until the agent starts again: posts are not counted';
  return { status: 'degraded', name, detail: `${first}; now ${detail}` };
}
