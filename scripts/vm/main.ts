/**
 * `make test-vm`: every probe on Debian's own kernels. For each kernel one QEMU guest loads all objects, runs the
 * programs of its plan and the real agent; then the table kernel × program × how it attached × passed, and
 * `N passed, N failed` alone on the last line.
 *
 * Arguments: `--kernels "6.1 5.10"` only those, `--steps "attach block"` only those of the plan, `--update` writes
 * docs/kernels.md from the last run of each, `--clock instructions` for what is measured, else test files to run whole
 * instead of the plan.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { workload } from '../../test/lib/cc.js';
import { ROOT } from '../../test/lib/root.js';
import { openScope } from '../../test/lib/scope.js';
import { losses, update } from './document.js';
import { type GuestEnd, type GuestRun, runGuest } from './guest.js';
import { makeInitramfs } from './initramfs.js';
import { fetchKernel, SUITES } from './kernels.js';
import { ATTACH, PEER, type Step, stepsFor } from './plan.js';
import { attachReport, bundleSteps, guestScript, type StepResult, stepResults } from './steps.js';
import { type KernelResult, markdown, rowsOf } from './table.js';
import { runTwo } from './two.js';

const DIR = join(ROOT, 'build/vm');
/** Below each kernel's directory. */
const RESULT = 'result.json';
const DOCUMENT = join(ROOT, 'docs/kernels.md');
/** For booting and switching off, on top of what the steps may take. */
const GUEST_TIMEOUT_SECONDS = 120;
/** What the plans' steps run: compiled here, a guest would take minutes. */
const WORKLOADS = [
  'cpu_hog',
  'deadlock',
  'exiter',
  'memory_hog',
  'rdma',
  'rdma_churn',
  'rdma_cm',
  'spawner',
  'stopped',
  'storage',
  'tcp_client',
  'tcp_server',
  'trainer',
  'true',
  'waits',
];

const scope = openScope();

interface Sum {
  passed: number;
  failed: number;
}

function words(list: string | undefined): readonly string[] {
  return (list ?? '').split(/[\s,]+/).filter((word) => word !== '');
}

function say(text: string): void {
  console.log(text);
}

async function runKernel(
  series: string,
  tests: readonly string[],
  only: readonly string[],
  clock: GuestRun['clock'],
  sum: Sum,
): Promise<KernelResult | undefined> {
  const dir = join(DIR, series);
  const kernel = await fetchKernel(series, dir, scope.signal);
  say(`${series}  ${kernel.release} (Debian ${kernel.version})`);
  const initramfs = await makeInitramfs(kernel, join(ROOT, 'scripts/vm'), dir, scope.signal);
  const steps = stepsFor(series, tests).filter(({ name }) => only.length === 0 || only.includes(name));
  const bundles = join(DIR, 'bundle');
  await bundleSteps(ROOT, [...steps, PEER], bundles);
  const run = join(dir, 'run');
  const guest = (chosen: readonly Step[], at: string): GuestRun => ({
    kernel,
    initramfs,
    dir: at,
    command: guestScript(ROOT, chosen, bundles),
    ...(clock && { clock }),
    timeoutMs: 1000 * chosen.reduce((all, { timeoutSeconds }) => all + timeoutSeconds, GUEST_TIMEOUT_SECONDS),
  });
  const results: StepResult[] = [];
  const finish = (chosen: readonly Step[], end: GuestEnd, at: string): void => {
    if (scope.signal.aborted) return;
    const ran = stepResults(at, chosen);
    tell(series, end, ran, sum, at);
    results.push(...ran);
  };
  const alone = steps.filter(({ two }) => two !== true);
  if (alone.length > 0) finish(alone, await runGuest(scope, guest(alone, run)), run);
  const both = steps.filter(({ two }) => two === true);
  if (both.length > 0 && !scope.signal.aborted) {
    const [at, peer] = [join(dir, 'run-two'), join(dir, 'run-peer')];
    finish(both, await runTwo(scope, guest(both, at), guest([PEER], peer)), at);
  }
  if (scope.signal.aborted) return undefined;
  if (!steps.some((step: Step) => step.name === ATTACH.name)) return undefined;
  const result: KernelResult = { kernel, report: attachReport(run), steps: results };
  writeFileSync(join(dir, RESULT), JSON.stringify(result));
  return result;
}

function tell(series: string, end: GuestEnd, results: readonly StepResult[], sum: Sum, dir: string): void {
  for (const { step, ok, seconds, passed, failed, failures } of results) {
    const took = seconds === null ? '' : `${seconds.toFixed(0)} s`;
    say(
      `${series}  ${ok ? 'ok    ' : 'FAILED'} ${step.name.padEnd(12)} ${String(passed).padStart(4)} passed ${took}`,
    );
    for (const line of failures) say(`${series}         ${line}`);
    sum.passed += passed;
    sum.failed += failed;
  }
  if (end.failure !== null) {
    say(`${series}  FAILED guest ${end.failure}`);
    sum.failed++;
  }
  say(
    `${series}  booted in ${end.bootSeconds ?? '?'} s, ${(end.wallMs / 1000).toFixed(0)} s in all; see ${relative(ROOT, dir)}`,
  );
}

/** Of each kernel the result of its last whole run, so that the document can be written kernel by kernel. */
function latest(): readonly KernelResult[] {
  const all = Object.keys(SUITES).map((series) => join(DIR, series, RESULT));
  const missing = all.filter((path) => !existsSync(path));
  if (missing.length > 0) throw new Error(`the table wants all kernels: there is no ${missing.join(', ')}`);
  return all.map((path) => JSON.parse(readFileSync(path, 'utf8')) as KernelResult);
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    options: {
      kernels: { type: 'string' },
      steps: { type: 'string' },
      update: { type: 'boolean' },
      clock: { type: 'string' },
    },
    allowPositionals: true,
  });
  const { clock } = values;
  if (clock !== undefined && clock !== 'instructions')
    throw new Error(`no clock ${clock}, only instructions`);
  const asked = words(values.kernels);
  const only = words(values.steps);
  const kernels = asked.length === 0 ? Object.keys(SUITES) : asked;
  mkdirSync(DIR, { recursive: true });
  for (const name of WORKLOADS) await workload(name);
  await workload('e2e-chain', 'test/e2e/workloads/chain.c');

  const sum: Sum = { passed: 0, failed: 0 };
  const results: KernelResult[] = [];
  for (const series of kernels) {
    try {
      const result = await runKernel(series, positionals, only, clock, sum);
      if (result !== undefined) results.push(result);
    } catch (error) {
      if (scope.signal.aborted) break;
      say(`${series}  FAILED ${error instanceof Error ? error.message : String(error)}`);
      sum.failed++;
    }
  }
  if (scope.signal.aborted) return 1;
  if (results.length > 0) {
    say('');
    for (const line of markdown(results)) say(line);
    say('');
    for (const row of results.flatMap(rowsOf)) {
      if (row.passed) sum.passed++;
      else sum.failed++;
    }
    if (values.update === true) update(DOCUMENT, latest());
    for (const line of losses(DOCUMENT, results)) {
      say(`LOST ${line}`);
      sum.failed++;
    }
  }
  say(`${sum.passed} passed, ${sum.failed} failed`);
  return sum.failed === 0 && sum.passed > 0 ? 0 : 1;
}

let code = 1;
try {
  code = await main();
} catch (error) {
  if (!scope.signal.aborted) say(`FAILED ${error instanceof Error ? error.message : String(error)}`);
} finally {
  await scope.close();
}
process.exit(code);
