/**
 * `xctl why PID` as a whole command, from spawn to exit, against an agent that answers at once; beside it,
 * in turn, the same Node with nothing to do (`node -e 0`), which no command can beat. On the Node that runs
 * this, and on Node 24 from npm's node-linux-* package, put into build/node24 when it is not there.
 */
import { execFile, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ApiServer } from '../src/api/server.js';
import { createLog } from '../src/util/log.js';
import { messageOf } from '../src/util/errors.js';
import { WHY } from '../test/cli/answers.js';
import { ScriptedBackend } from '../test/cli/backend.js';
import { OWN_PREFIX } from '../test/lib/owner.js';
import { ROOT } from '../test/lib/root.js';
import { openScope } from '../test/lib/scope.js';
import { progress, report } from './lib/report.js';
import { median, medianInterval, rounded } from './lib/stats.js';

const ROUNDS = 41;
/** Not counted: they bring the files into the page cache. */
const WARM_UP = 3;
/** Bars in ms by major version; one without a bar of its own has that of the next lower. */
const BARS_MS = [
  { major: 24, ms: 120 },
  { major: 20, ms: 180 },
] as const;

const run = promisify(execFile);

interface Runtime {
  readonly node: string;
  /** `v20.20.2` */
  readonly version: string;
}

async function runtimeAt(node: string): Promise<Runtime> {
  const { stdout } = await run(node, ['--version']);
  return { node, version: stdout.trim() };
}

/** @throws Error when npm cannot install it */
async function node24(): Promise<Runtime> {
  const name = `node-linux-${process.arch}`;
  const dir = join(ROOT, 'build', 'node24');
  const node = join(dir, 'node_modules', name, 'bin', 'node');
  if (!existsSync(node)) {
    progress(`installing ${name}@24 into build/node24`);
    mkdirSync(dir, { recursive: true });
    await run('npm', [
      'install',
      '--prefix',
      dir,
      '--no-save',
      '--ignore-scripts',
      '--loglevel=error',
      `${name}@24`,
    ]);
  }
  return runtimeAt(node);
}

/** Milliseconds from spawn to exit. @throws Error when it does not end with 0 */
function time(node: string, args: readonly string[]): Promise<number> {
  return new Promise((resolve, reject) => {
    const begin = performance.now();
    const child = spawn(node, args, { stdio: ['ignore', 'ignore', 'inherit'] });
    child.once('error', reject);
    child.once('exit', (code) => {
      const ms = performance.now() - begin;
      if (code === 0) resolve(ms);
      else reject(new Error(`${args.join(' ')} ended with ${code}`));
    });
  });
}

async function measure({ node, version }: Runtime, socket: string): Promise<boolean> {
  const why: number[] = [];
  const bare: number[] = [];
  for (let round = -WARM_UP; round < ROUNDS; round++) {
    const both = [
      await time(node, ['-e', '0']),
      await time(node, [join(ROOT, 'bin', 'xctl'), 'why', String(WHY.target.pid), '--socket', socket]),
    ] as const;
    if (round < 0) continue;
    bare.push(both[0]);
    why.push(both[1]);
  }
  const major = Number(/^v(\d+)/.exec(version)?.[1]);
  const bar = BARS_MS.find((known) => major >= known.major)?.ms ?? Number.POSITIVE_INFINITY;
  const measured = median(why);
  const { low, high } = medianInterval(why);
  report({
    name: `xctl why as a whole command, Node ${major}`,
    asked: `<= ${bar} ms`,
    measured: rounded(measured),
    unit: 'ms',
    ok: measured <= bar,
    interval95: [rounded(low), rounded(high)],
    bareNode: rounded(median(bare)),
    ratio: rounded(measured / median(bare)),
    node: version,
    rounds: ROUNDS,
  });
  return measured <= bar;
}

const scope = openScope();
try {
  const dir = mkdtempSync(join(tmpdir(), OWN_PREFIX));
  scope.teardown(() => rmSync(dir, { recursive: true, force: true }));
  const socket = join(dir, 'a.sock');
  const server = new ApiServer({
    socketPath: socket,
    backend: new ScriptedBackend(),
    log: createLog('warn'),
  });
  scope.teardown(() => server.stop());
  await server.start();

  const own = await runtimeAt(process.execPath);
  if (!(await measure(own, socket))) process.exitCode = 1;
  if (!own.version.startsWith('v24.')) {
    try {
      if (!(await measure(await node24(), socket))) process.exitCode = 1;
    } catch (error) {
      progress(`Node 24 is not measured: ${messageOf(error)}`);
    }
  }
} finally {
  await scope.close();
}
