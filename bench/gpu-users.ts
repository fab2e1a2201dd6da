/**
 * What a look at who has a GPU open costs: a walk over every descriptor of the node. Measured as the difference that
 * ten thousand more of them make, and told as the share of a core on a node with so many, looked at as often as an
 * agent looks by itself while GPUs are used.
 */
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { Kernel } from '../src/kernel/kernel.js';
import { BootClock } from '../src/kernel/clock.js';
import { GpuUsers } from '../src/probes/gpu-users.js';
import { createLog } from '../src/util/log.js';
import { ROOT } from '../test/lib/root.js';
import { openScope } from '../test/lib/scope.js';
import { until } from '../test/lib/until.js';
import { report } from './lib/report.js';
import { median, rounded } from './lib/stats.js';

const FILES = 10_000;
const ROUNDS = 21;
/** Descriptors of a large node: two thousand processes with a hundred each. */
const NODE_FILES = 200_000;
/** /dev/zero stands in for a GPU. */
const MEM_MAJOR = 1;
const ZERO = 5;

const scope = openScope();

async function main(): Promise<void> {
  const log = createLog('error');
  const kernel = await Kernel.open({ log, bpfDir: join(ROOT, 'dist/bpf') });
  scope.teardown(() => kernel.stop());
  const users = new GpuUsers({ kernel, log, clock: BootClock.now(), sink: () => {} }, MEM_MAJOR);
  scope.teardown(() => users.stop());
  users.heed({
    ts: 1,
    type: 'gpu.device',
    entity: 'gpu:0',
    value: 0,
    probe: 'gpu',
    attrs: { minor: ZERO, instances: [] },
  });
  const looks = async (): Promise<number> => {
    const tookMs: number[] = [];
    while (tookMs.length < ROUNDS) {
      const before = users.stats.spentMs;
      await until(() => users.look('asked'), { timeoutMs: 30_000, what: 'a look', everyMs: 20 });
      tookMs.push(users.stats.spentMs - before);
    }
    return median(tookMs);
  };
  const without = await looks();
  const files: number[] = [];
  scope.teardown(() => {
    for (const fd of files) closeSync(fd);
  });
  while (files.length < FILES)
    files.push(openSync(files.length % 2 === 0 ? '/dev/null' : '/etc/passwd', 'r'));
  const withFiles = await looks();
  const usEach = ((withFiles - without) * 1_000) / FILES;
  const nodeMs = (usEach * NODE_FILES) / 1_000;
  // Ten seconds between two looks, or two thousand times what one takes.
  const share = nodeMs / Math.max(10_000, nodeMs * 2_000);
  report({
    name: 'who has a GPU open: walk over the descriptors of a node',
    asked: '<= 0.1 % of a core',
    measured: rounded(share * 100),
    unit: '% of a core',
    ok: share <= 0.001,
    usEach: rounded(usEach),
    ofNodeMs: rounded(nodeMs),
    thisNodeMs: rounded(without),
  });
}

try {
  await main();
} finally {
  await scope.close();
}
