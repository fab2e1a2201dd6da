/**
 * The agent on a real GPU (started by scripts/gpu-check.sh): doctor, then at rest, with an idle context, under full load
 * and out of memory, every figure beside nvidia-smi's. Prints a line a check and closes with `N passed, N failed`.
 */
import { copyFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Check } from '../../src/api/contract.js';
import { scratch } from '../../test/e2e/lib/raw-agent.js';
import { type Agent, startAgent, xctl } from '../../test/lib/agent.js';
import { type Proc, startWorkload } from '../../test/lib/proc.js';
import { openScope } from '../../test/lib/scope.js';
import { until } from '../../test/lib/until.js';
import {
  bestOf,
  compare,
  type Compared,
  compareProcesses,
  fieldsOf,
  GPU_FIGURES,
  ROW_FIGURES,
} from './compare.js';
import { query, runSmi, type SmiRow, told } from './smi.js';
import { Told } from './told.js';

/** Samples a phase: what moves may have moved between the two looks of one. */
const SAMPLES = 5;
const APPS = ['gpu_uuid', 'pid', 'used_gpu_memory'];
const GIB = 2 ** 30;
/** Of all memory, for a GPU that a program has filled. */
const FULL = 0.95;

const scope = openScope();
const sum = { passed: 0, failed: 0 };

function check(ok: boolean, text: string): void {
  sum[ok ? 'passed' : 'failed']++;
  console.log(`${ok ? 'ok  ' : 'FAIL'}  ${text}`);
}

/** By GPU. */
type Sample = ReadonlyMap<string, readonly Compared[]>;

/** nvidia-smi now, and what the agent tells of the GPUs right after. */
async function sample(agentTold: Told): Promise<Sample> {
  const ts = Date.now();
  const rows = await query(runSmi, 'gpu', fieldsOf(GPU_FIGURES));
  const apps = await query(runSmi, 'compute-apps', APPS);
  const remapped = await query(runSmi, 'remapped-rows', ['gpu_uuid', ...fieldsOf(ROW_FIGURES)]).catch(
    () => [],
  );
  const entities = new Map(agentTold.gpus.map(({ uuid, entity }) => [uuid, entity]));
  const compared = new Map<string, readonly Compared[]>();
  for (const row of rows) {
    const uuid = told(row, 'uuid') ?? '';
    const entity = entities.get(uuid);
    if (entity === undefined) {
      compared.set(uuid, [{ name: 'is known to the agent', agent: false, smi: true, ok: false }]);
      continue;
    }
    const seen = await until(
      () => {
        agentTold.read();
        return agentTold.seen(entity, ts);
      },
      { timeoutMs: 20_000, what: `a look at ${entity}`, everyMs: 50 },
    );
    const rowsOfIt: SmiRow = remapped.find((one) => told(one, 'gpu_uuid') === uuid) ?? new Map();
    compared.set(entity, [
      ...compare(GPU_FIGURES, row, seen),
      ...compare(ROW_FIGURES, rowsOfIt, seen),
      ...compareProcesses(apps, uuid, agentTold.processes(entity)),
    ]);
  }
  return compared;
}

async function phase(name: string, agentTold: Told): Promise<void> {
  const samples: Sample[] = [];
  for (let i = 0; i < SAMPLES; i++) {
    samples.push(await sample(agentTold));
    await sleep(700, undefined, { signal: scope.signal });
  }
  for (const entity of new Set(samples.flatMap((one) => [...one.keys()]))) {
    for (const { name: figure, agent, smi, ok } of bestOf(samples.map((one) => one.get(entity) ?? [])))
      check(
        ok,
        `${name}: ${entity}: ${figure}: ${agent ?? 'not told'}${ok ? '' : `, nvidia-smi says ${smi}`}`,
      );
  }
}

/** What `xctl why` makes of it, where the agent sees processes at all. */
async function asked(name: string, agent: Agent, proc: Proc, sees: boolean): Promise<void> {
  if (!sees) return;
  const { code, stdout, stderr } = await agent.xctl('why', String(proc.pid));
  check(
    code === 0,
    `${name}: xctl why ${proc.pid}: ${(code === 0 ? stdout : stderr).trim().split('\n')[0] ?? ''}`,
  );
}

async function workload(mode: string): Promise<Proc> {
  const proc = await startWorkload(scope, 'cuda', { mode });
  await proc.line(/ kind=all /, 120_000);
  return proc;
}

async function main(): Promise<void> {
  const directory = process.argv[2];
  const recording = join(scratch(scope), 'recording.jsonl');
  const agent = await startAgent(scope, { args: ['--record', recording] });
  const doctor = await agent.xctl('doctor');
  console.log(doctor.stdout.trimEnd());
  const { checks } = JSON.parse((await agent.xctl('doctor', '-o', 'json')).stdout) as { checks: Check[] };
  const status = (name: string): string => checks.find((one) => one.name === name)?.status ?? 'absent';
  check(status('probe gpu') === 'ok', `doctor: probe gpu is ${status('probe gpu')}`);
  check(status('probe gpu/events') === 'ok', `doctor: events of GPUs are ${status('probe gpu/events')}`);
  const sees = status('probe waits') === 'ok';
  const agentTold = new Told(recording);
  scope.teardown(() => agentTold.close());
  await until(
    () => {
      agentTold.read();
      return agentTold.gpus.length > 0;
    },
    { timeoutMs: 20_000, what: 'the first look', everyMs: 50 },
  );
  const [first] = agentTold.gpus;
  if (first === undefined) throw new Error('the agent tells of no GPU');
  const use = () => agentTold.seen(first.entity, 0)?.use;

  await phase('at rest', agentTold);

  const idle = await workload('idle');
  await phase('idle context', agentTold);
  const held = agentTold.processes(first.entity).find(({ pid }) => pid === idle.pid)?.memoryBytes ?? 0;
  check(held >= GIB, `idle context: pid ${idle.pid} holds ${(held / GIB).toFixed(2)} GiB`);
  check((use()?.gpuPercent ?? 100) <= 5, `idle context: ${use()?.gpuPercent} % used`);
  await asked('idle context', agent, idle, sees);
  await idle.stop();

  const busy = await workload('busy');
  await phase('busy', agentTold);
  check((use()?.gpuPercent ?? 0) >= 90, `busy: ${use()?.gpuPercent} % used`);
  check(use()?.throttle.includes('idle') === false, `busy: its clocks are not those of rest`);
  const share = agentTold.processes(first.entity).find(({ pid }) => pid === busy.pid)?.smPercent ?? 0;
  check(share >= 50, `busy: pid ${busy.pid} has ${share.toFixed(0)} % of it`);
  await asked('busy', agent, busy, sees);
  await busy.stop();

  const full = await workload('oom');
  await phase('out of memory', agentTold);
  const { usedBytes = 0, totalBytes = 1 } = use() ?? {};
  check(
    usedBytes / totalBytes >= FULL,
    `out of memory: ${((usedBytes / totalBytes) * 100).toFixed(1)} % in use`,
  );
  const [most] = agentTold.processes(first.entity);
  check(most?.pid === full.pid, `out of memory: pid ${most?.pid} holds most`);
  await asked('out of memory', agent, full, sees);
  await full.stop();

  check(agentTold.states.length === 0, `no GPU was lost or hung (${agentTold.states.length} said so)`);
  await agent.stop();
  if (sees) {
    const { code } = await xctl(['why', String(full.pid), '--replay', recording]);
    check(code === 0, 'the recording can be replayed');
  }
  if (directory !== undefined) {
    mkdirSync(directory, { recursive: true });
    copyFileSync(recording, join(directory, 'gpu-check.jsonl'));
  }
}

try {
  await main();
} catch (error) {
  if (!scope.signal.aborted) check(false, error instanceof Error ? error.message : String(error));
} finally {
  await scope.close();
}
console.log(`${sum.passed} passed, ${sum.failed} failed`);
process.exit(sum.failed === 0 && sum.passed > 0 ? 0 : 1);
