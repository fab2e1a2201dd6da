/**
 * The lab in a QEMU guest: `make test-vm KERNELS=6.1 TESTS=test/lab/guest.ts` plays the suites that want a guest's kernel, and
 * leaves a line for each result where the host finds it; `make lab MERGE=FILE` puts them beside the others. Which seeds and
 * scenarios, build/lab/guest.json says, as `make lab VM=yes` writes it: the guest sees the host's files, not its environment.
 */
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';
import { RESULTS } from '../../scripts/vm/guest.js';
import { ROOT } from '../lib/root.js';
import { runSuites } from './run.js';
import { GUEST } from './scenarios/guest.js';
import { RDMA } from './scenarios/rdma.js';
import { complaints } from './table.js';

/** Emulated CPUs are slow enough for two at a time. */
const JOBS = 2;

interface Wanted {
  readonly seeds: readonly number[];
  readonly only: readonly string[];
}

function wanted(): Wanted {
  const path = join(ROOT, 'build', 'lab', 'guest.json');
  if (!existsSync(path)) return { seeds: [1], only: [] };
  return JSON.parse(readFileSync(path, 'utf8')) as Wanted;
}

const out = join(existsSync(RESULTS) ? RESULTS : join(ROOT, 'build', 'lab'), 'lab.jsonl');
const where = `guest-${/^\d+\.\d+/.exec(release())?.[0] ?? release()}`;
const { seeds, only } = wanted();
let broken = 0;
for (const seed of seeds) {
  await runSuites([GUEST, RDMA], {
    seed,
    where,
    jobs: JOBS,
    wanted: (name) => only.length === 0 || only.some((word) => name.startsWith(word)),
    tell: (result) => {
      // One by one: what was played counts also when the guest is out of time.
      appendFileSync(out, `${JSON.stringify(result)}\n`);
      const [complaint] = complaints([result]);
      console.log(complaint ?? `right: ${result.scenario}`);
      if (result.outcome === 'broken') broken++;
    },
  });
}
process.exit(broken === 0 ? 0 : 1);
