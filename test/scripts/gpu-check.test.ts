/** scripts/gpu-check.sh, as far as a machine without a GPU goes: what it says there, what it compares and how. */
import { execFile } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { EventOf } from '../../src/events/event.js';
import {
  bestOf,
  compare,
  type Compared,
  compareProcesses,
  fieldsOf,
  GPU_FIGURES,
  ROW_FIGURES,
  type Seen,
} from '../../scripts/gpu-check/compare.js';
import { parseCsv, query, told } from '../../scripts/gpu-check/smi.js';
import { startWorkload } from '../lib/proc.js';
import { ROOT } from '../lib/root.js';
import { gpuRig } from '../nvml/rig.js';

const GIB = 2 ** 30;

/** As nvidia-smi of driver 550 prints it, of the GPU that the double has by default and of what is set below. */
const FIELDS = fieldsOf(GPU_FIGURES).filter((field) => !field.startsWith('clocks_throttle'));
const CSV =
  'GPU-d0b1e000-0000-4000-8000-000000000000, NVIDIA H100 80GB HBM3, 00000000:1B:00.0, 550.90.07, Exclusive_Process, ' +
  'Disabled, Disabled, 5, 16, 700.00, 97, 41, 81920, 71680, 10240, 512, 61, 612.53, 1980, 2619, ' +
  '0x0000000000000044, 4, 8, 7, 1, 19, 2\n';
const ROWS = 'GPU-d0b1e000-0000-4000-8000-000000000000, 2, 1, Yes, No\n';
const UUID = 'GPU-d0b1e000-0000-4000-8000-000000000000';

async function seen(
  t: Parameters<typeof gpuRig>[0],
): Promise<{ seen: Seen; used: EventOf<'gpu.processes'>['attrs'] }> {
  const rig = await gpuRig(t, {
    gpus: 1,
    all: {
      util: [97, 41],
      usedBytes: 70 * GIB,
      temperature: 61,
      powerMw: [612_500, 700_000],
      clocks: [1980, 2619],
      reasons: 0x4 | 0x40,
      ecc: [7, 1, 19, 2],
      remap: [2, 1, 1, 0],
      pcie: [4, 8, 12],
      mode: [3, 0],
      processes: [{ pid: process.pid, bytes: 60 * GIB }],
    },
  });
  const [device, use, health, processes] = await Promise.all([
    rig.event('gpu.device'),
    rig.event('gpu.use'),
    rig.event('gpu.health'),
    rig.event('gpu.processes'),
  ]);
  return { seen: { device: device.attrs, use: use.attrs, health: health.attrs }, used: processes.attrs };
}

const wrong = (compared: readonly Compared[]): string[] =>
  compared.filter(({ ok }) => !ok).map(({ name }) => name);

t.test('every figure of nvidia-smi beside what the agent tells of the same GPU', async (t) => {
  const { seen: one, used } = await seen(t);
  const [row] = parseCsv(CSV, FIELDS);
  const [remapped] = parseCsv(ROWS, ['gpu_uuid', ...fieldsOf(ROW_FIGURES)]);
  if (row === undefined || remapped === undefined) throw new Error('no rows');
  const compared = [...compare(GPU_FIGURES, row, one), ...compare(ROW_FIGURES, remapped, one)];
  t.equal(compared.length, GPU_FIGURES.length + ROW_FIGURES.length, 'none is left out');
  t.same(wrong(compared), []);
  const apps = parseCsv(`${UUID}, ${process.pid}, 61440\nGPU-other, 1, 5\n`, [
    'gpu_uuid',
    'pid',
    'used_gpu_memory',
  ]);
  t.same(wrong(compareProcesses(apps, UUID, used.processes)), []);

  // Each figure by itself: another value in nvidia-smi's row is noticed.
  for (const [i, field] of FIELDS.entries()) {
    const text = row.get(field) ?? '';
    const other = /^0x/.test(text)
      ? '0x1'
      : /^\d/.test(text) && !text.includes(':')
        ? `${Number.parseInt(text, 10) * 3 + 60_000}`
        : `x${text}`;
    const swapped = field === 'compute_mode' ? 'Default' : field.startsWith('mig.') ? 'Enabled' : other;
    const changed = compare(GPU_FIGURES, new Map(row).set(field, swapped), one);
    t.equal(wrong(changed).length, 1, `${i}: ${field} = ${swapped}`);
  }
});

t.test('tolerances: what moves may differ, what does not may not', async (t) => {
  const { seen: one } = await seen(t);
  const [row] = parseCsv(CSV, FIELDS);
  const with_ = (changes: Readonly<Record<string, string>>) =>
    wrong(compare(GPU_FIGURES, new Map([...(row ?? []), ...Object.entries(changes)]), one));
  t.same(
    with_({ 'temperature.gpu': '63', 'clocks.sm': '1830', 'power.draw': '540.00', 'utilization.gpu': '84' }),
    [],
  );
  t.same(
    with_({ 'temperature.gpu': '66', 'clocks.sm': '1500', 'power.draw': '400.00', 'utilization.gpu': '70' }),
    ['gpuPercent', 'temperatureC', 'powerW', 'smMhz'],
  );
  t.same(with_({ 'ecc.errors.corrected.volatile.total': '8' }), ['correctedVolatile']);
  t.same(
    with_({ 'power.draw': '[N/A]', 'mig.mode.current': '[Not Supported]' }),
    [],
    'what it does not tell',
  );
  const without: Seen = { ...one, use: { throttle: [], windowMs: 1 } };
  t.ok(
    wrong(compare(GPU_FIGURES, row ?? new Map(), without)).includes('temperatureC'),
    'what only the agent lacks is wrong',
  );
});

t.test('processes that only one of the two knows', async (t) => {
  const fields = ['gpu_uuid', 'pid', 'used_gpu_memory'];
  const rows = parseCsv(`${UUID}, 7, 1024\n${UUID}, 8, [N/A]\n`, fields);
  t.same(wrong(compareProcesses(rows, UUID, [{ pid: 7, memoryBytes: GIB }, { pid: 8 }])), []);
  t.same(wrong(compareProcesses(rows, UUID, [{ pid: 7, memoryBytes: GIB }])), ['processes']);
  t.same(wrong(compareProcesses(rows, UUID, [{ pid: 7, memoryBytes: 2 * GIB }, { pid: 8 }])), [
    'memoryBytes of pid 7',
  ]);
  t.same(wrong(compareProcesses([], UUID, [])), []);
});

t.test('the best of several samples', async (t) => {
  const one = (ok: boolean): Compared => ({ name: 'smMhz', agent: 1, smi: 2, ok });
  t.same(wrong(bestOf([[one(false)], [one(true)], [one(false)]])), []);
  t.same(wrong(bestOf([[one(false)], [one(false)]])), ['smMhz']);
});

t.test('a field that this nvidia-smi does not know is left out', async (t) => {
  const asked: string[] = [];
  const rows = await query(
    async ([what = '']) => {
      asked.push(what);
      if (what.includes('new.field'))
        throw new Error('nvidia-smi: Field "new.field" is not a valid field to query.');
      return 'GPU-1, 5\n';
    },
    'gpu',
    ['uuid', 'new.field', 'temperature.gpu'],
  );
  t.same(asked, ['--query-gpu=uuid,new.field,temperature.gpu', '--query-gpu=uuid,temperature.gpu']);
  t.equal(told(rows[0] ?? new Map(), 'temperature.gpu'), '5');
  await t.rejects(
    query(() => Promise.reject(new Error('nvidia-smi: NVML: Driver/library version mismatch')), 'gpu', [
      'uuid',
    ]),
    /mismatch/,
  );
  t.throws(() => parseCsv('a, b, c\n', ['x', 'y']), /3 fields for 2/);
});

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function run(file: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(file, [...args], { env }, (error, stdout, stderr) =>
      resolve({
        code: typeof error?.code === 'number' ? error.code : error === null ? 0 : -1,
        stdout,
        stderr,
      }),
    );
  });
}

t.test('without a GPU: one line, and nothing else', async (t) => {
  // A PATH of its own: with the tools of every system, and no nvidia-smi or one that fails.
  const bin = join(t.testdir(), 'bin');
  mkdirSync(bin);
  for (const tool of ['bash', 'dirname', 'head', 'grep']) symlinkSync(await which(tool), join(bin, tool));
  const script = join(ROOT, 'scripts/gpu-check.sh');
  const none = await run(script, [], { PATH: bin });
  t.same(none, { code: 1, stdout: '', stderr: 'gpu-check: no GPU here: nvidia-smi is not installed\n' });
  const words = "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.";
  writeFileSync(join(bin, 'nvidia-smi'), `#!/bin/sh\necho "${words}"\necho more\nexit 9\n`, { mode: 0o755 });
  const failing = await run(script, ['out'], { PATH: bin });
  t.same(failing, { code: 1, stdout: '', stderr: `gpu-check: no GPU here: nvidia-smi says: ${words}\n` });
});

async function which(tool: string): Promise<string> {
  return (await run('sh', ['-c', 'command -v "$1"', 'sh', tool], process.env)).stdout.trim();
}

t.test('the CUDA workload builds, and says in one line that there is no driver', async (t) => {
  const proc = await startWorkload(t, 'cuda', { mode: 'busy' }, { env: { CUDA_VISIBLE_DEVICES: '-1' } });
  t.same(await proc.exited, { code: 2, signal: null });
  t.match(proc.stderr.join('\n'), /^cuda: (no CUDA driver here|cuInit|cuDeviceGet|libcuda.so.1 lacks): .*$/);
});
