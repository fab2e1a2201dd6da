/** From steps to one shell script for the guest, and from what it left behind to results. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import type { AttachReport } from '../../test/vm/attach.js';
import { RESULTS } from './guest.js';
import type { Step } from './plan.js';

export interface StepResult {
  readonly step: Step;
  readonly ok: boolean;
  readonly seconds: number | null;
  /** Assertions; of a program that makes none, itself. */
  readonly passed: number;
  readonly failed: number;
  /** What failed, lines. */
  readonly failures: readonly string[];
}

/** Guests are this many times slower than the machine they run on, at times. */
const PATIENCE = 8;

/** Bundles each step into `<dir>/<name>.mjs`: a guest has no minute for a test runner that compiles. */
export async function bundleSteps(root: string, steps: readonly Step[], dir: string): Promise<void> {
  await build({
    absWorkingDir: root,
    entryPoints: steps.map(({ name, source }) => ({ in: source, out: name })),
    outdir: dir,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    external: ['ffi-napi', 'ref-napi', 'tap', 'esbuild'],
    // CommonJS packages inside an ES module bundle still call require().
    banner: {
      js: "import { createRequire as bundleRequire } from 'node:module'; const require = bundleRequire(import.meta.url);",
    },
    logLevel: 'warning',
  });
}

/** A line for each step in `steps`: name, exit code, seconds of uptime before and after. */
export function guestScript(root: string, steps: readonly Step[], bundles: string): string {
  const quote = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;
  const uptime = "$(cut -d' ' -f1 /proc/uptime)";
  return [
    `cd ${quote(root)} || exit 1`,
    // tap gives up on a subtest after 30 s unless told otherwise; the step's own limit is enough.
    `export XCTL_TEST_PATIENCE=${PATIENCE} TAP_TIMEOUT=0`,
    ...steps.map(({ name, grep, timeoutSeconds }) => {
      const filter = grep === undefined ? '' : `TAP_GREP=${quote(grep)} TAP_FILTER_QUIETLY=1 `;
      const program = [process.execPath, join(bundles, `${name}.mjs`)].map(quote).join(' ');
      const to = (suffix: string): string => quote(`${RESULTS}/${name}.${suffix}`);
      const run = `${filter}timeout -k 5 ${timeoutSeconds} ${program} >${to('out')} 2>${to('err')}`;
      return `t=${uptime}; ${run}; echo "${name} $? $t ${uptime}" >>${RESULTS}/steps`;
    }),
  ].join('\n');
}

/** What the steps came to so far; those that did not run failed. */
export function stepResults(dir: string, steps: readonly Step[]): StepResult[] {
  const ran = new Map<string, { code: number; seconds: number }>();
  for (const line of textOf(join(dir, 'steps')).split('\n')) {
    const [name = '', code, from, to] = line.split(' ');
    if (to !== undefined) ran.set(name, { code: Number(code), seconds: Number(to) - Number(from) });
  }
  return steps.map((step) => {
    const end = ran.get(step.name);
    if (end === undefined) {
      return { step, ok: false, seconds: null, passed: 0, failed: 1, failures: ['did not run to its end'] };
    }
    const { code, seconds } = end;
    const counts = countsOf(textOf(join(dir, `${step.name}.out`)));
    // A filter that no longer matches anything proves nothing.
    const empty = step.source.endsWith('.test.ts') && counts.passed === 0;
    const ok = code === 0 && counts.failed === 0 && !empty;
    const failed = ok ? 0 : Math.max(1, counts.failed);
    const said = empty ? 'made no assertion that passed' : `exit code ${code}`;
    const failures = ok ? [] : [...counts.names, said, ...tail(dir, step.name)];
    return { step, ok, seconds, passed: counts.passed || (ok ? 1 : 0), failed, failures };
  });
}

/** The assertions of a TAP stream, leaf by leaf. */
function countsOf(tap: string): { passed: number; failed: number; names: string[] } {
  const summary = /^# \{ total: \d+(?:, pass: (\d+))?(?:, fail: (\d+))?/m.exec(tap);
  const names = [...tap.matchAll(/^ *(not ok \d+ - .*)$/gm)].map((found) => found[1] ?? '');
  return { passed: Number(summary?.[1] ?? 0), failed: Number(summary?.[2] ?? 0), names };
}

function tail(dir: string, name: string): string[] {
  const lines = textOf(join(dir, `${name}.err`))
    .trim()
    .split('\n')
    .slice(-5)
    .map((line) => line.slice(0, 300));
  return lines.filter((line) => line !== '');
}

/** @throws Error with what the step said when it left none */
export function attachReport(dir: string): AttachReport {
  const text = textOf(join(dir, 'attach.out'));
  try {
    return JSON.parse(text) as AttachReport;
  } catch (error) {
    throw new Error(`no attach report: ${tail(dir, 'attach').join(' | ')}`, { cause: error });
  }
}

function textOf(path: string): string {
  return existsSync(path) ? readFileSync(path, 'utf8') : '';
}
