/** Probe `gpu-trace` in `xctl doctor`: what is looked at, what it costs, what was taken off, and what cannot be seen. */
import type { Check } from '../util/check.js';
import { CLASSES, type TraceBudget } from './gpu-trace-budget.js';
import type { TracedFile, TracedFiles } from './gpu-trace-files.js';
import type { TraceClass } from './gpu-trace-functions.js';
import type { MappedLibrary } from './gpu-trace-maps.js';
import { percent } from './uprobe-budget.js';
import type { MapWatch } from './uprobe-watch.js';

export interface TraceParts {
  readonly failure: string | undefined;
  readonly files: TracedFiles | undefined;
  readonly watch: MapWatch<MappedLibrary>;
  readonly budget: TraceBudget;
  readonly communicators: number;
  readonly waiting: number;
}

const NAME = 'probe gpu-trace';

const WHAT: Readonly<Record<TraceClass, string>> = {
  comm: 'making and ending communicators',
  ask: 'asking for rank and size: those that only the program knows stay unknown',
  enqueue: 'enqueues: a rank that is behind is not named any more',
  sync: 'waits for the GPU: a thread that spins in one looks busy',
};

export function traceChecks(parts: TraceParts): readonly Check[] {
  const { failure, files } = parts;
  if (failure !== undefined) return [{ status: 'failed', name: NAME, detail: failure }];
  if (files === undefined) return [{ status: 'off', name: NAME, detail: 'not started' }];
  return [
    summary(parts, files),
    ...files.files.flatMap(fileCheck),
    ...crowdCheck(files),
    ...staticCheck(parts, files),
    ...hungCheck(parts.watch),
    costCheck(parts.budget),
  ];
}

function summary({ watch, communicators, waiting }: TraceParts, files: TracedFiles): Check {
  const known = files.files.length;
  if (known === 0) {
    const detail = `${watch.size} processes looked at, none maps libnccl or libcuda yet; libraries loaded later are found within a minute`;
    return { status: 'ok', name: NAME, detail };
  }
  const unfinished = files.files.filter(({ complete }) => !complete).length;
  const detail = `${known - unfinished} libraries${unfinished === 0 ? '' : ` and ${unfinished} in part so far`}, ${communicators} communicators, ${waiting} threads wait for a GPU`;
  return { status: 'ok', name: NAME, detail };
}

function fileCheck({ mapped, missing, failure, links }: TracedFile): readonly Check[] {
  const name = `${NAME}/${mapped.library}`;
  if (failure !== undefined)
    return [{ status: links.size === 0 ? 'failed' : 'degraded', name, detail: `${mapped.path}: ${failure}` }];
  if (missing.length === 0) return [];
  const shown = missing.slice(0, 6).join(', ');
  const detail = `${mapped.path} does not export ${shown}${missing.length > 6 ? ', …' : ''}`;
  return [{ status: 'degraded', name, detail }];
}

function crowdCheck(files: TracedFiles): readonly Check[] {
  if (files.refused === 0) return [];
  const detail = `${files.refused} more copies of the libraries are not looked at: the limit is reached`;
  return [{ status: 'degraded', name: `${NAME}/files`, detail }];
}

/** What is linked into a program has no file of its own to look at. */
function staticCheck({ watch }: TraceParts, files: TracedFiles): readonly Check[] {
  const [cuda, nccl] = [watch.users('libcuda'), watch.users('libnccl')];
  if (cuda === 0 || nccl > 0 || files.files.some(({ mapped }) => mapped.library === 'libnccl')) return [];
  const detail = `${cuda} processes map libcuda and none libnccl: they use no NCCL, or one that is linked in statically, which cannot be seen`;
  return [{ status: 'ok', name: `${NAME}/libnccl`, detail }];
}

function hungCheck({ hungAt }: MapWatch<MappedLibrary>): readonly Check[] {
  if (hungAt === undefined) return [];
  const detail = `reading the memory map of process ${hungAt} does not come back: no further libraries are found`;
  return [{ status: 'degraded', name: `${NAME}/search`, detail }];
}

function costCheck(budget: TraceBudget): Check {
  const { used, rates, share, off } = budget;
  const name = `${NAME}/cost`;
  const prices = CLASSES.map((one) => `${one} ${budget.price(one) / 1_000} us x ${Math.round(rates[one])}/s`);
  const detail = `${percent(used)} of a core of ${percent(share)} (${prices.join(', ')})`;
  if (off.size === 0) return { status: 'ok', name, detail };
  const without = [...off].map((one) => WHAT[one]).join('; ');
  return { status: 'degraded', name, detail: `over budget, taken off: ${without}; now ${detail}` };
}
