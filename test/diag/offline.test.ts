/**
 * `--offline`, and that nothing is configured: the kernel counts what a network namespace tries to send, and it is nothing. The
 * same command line without `--offline` is counted too, so that the counting itself is known to work. Needs root and `make build`.
 */
import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t, { type Test } from 'tap';
import { WITHOUT_TAP } from '../lib/agent.js';
import { ROOT } from '../lib/root.js';
import { WHY } from '../cli/answers.js';
import { serve, tempDir } from '../cli/helpers.js';
import { inputOf } from './fixtures.js';

const run = promisify(execFile);

interface Counts {
  /** Connections begun, datagrams sent, packets without a route, by the kernel's own count. */
  readonly tcp: number;
  readonly udp: number;
  readonly unroutable: number;
  readonly stdout: string;
}

/** Runs bin/xctl alone in a new network namespace that has a loopback device and nothing else. */
async function counted(
  t: Test,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<Counts> {
  const dir = tempDir(t);
  const script = join(dir, 'count.mjs');
  mkdirSync(join(dir, 'out'));
  // Reads the counters from inside, when xctl has ended: they are of the namespace.
  writeFileSync(
    script,
    `import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
execFileSync('ip', ['link', 'set', 'lo', 'up']);
const ended = spawnSync(process.execPath, JSON.parse(process.argv[2]), { encoding: 'utf8' });
writeFileSync(process.argv[3] + '/snmp', readFileSync('/proc/self/net/snmp'));
process.stdout.write(ended.stdout);
process.stderr.write(ended.stderr);
process.exitCode = ended.status ?? 1;
`,
  );
  const words = [join(ROOT, 'bin', 'xctl'), ...args];
  const [file = '', ...before] = [...WITHOUT_TAP, 'unshare', '--net', process.execPath, script];
  const { stdout } = await run(file, [...before, JSON.stringify(words), join(dir, 'out')], {
    env: { ...process.env, ...env },
    timeout: 60_000,
  });
  const snmp = readFileSync(join(dir, 'out', 'snmp'), 'utf8');
  const value = (protocol: string, name: string): number => {
    const [names = '', values = ''] = snmp.split('\n').filter((line) => line.startsWith(`${protocol}: `));
    return Number(values.split(' ')[names.split(' ').indexOf(name)]);
  };
  return {
    tcp: value('Tcp', 'ActiveOpens'),
    udp: value('Udp', 'OutDatagrams'),
    unroutable: value('Ip', 'OutNoRoutes'),
    stdout,
  };
}

const ENV = {
  XCTL_MODEL_URL: 'http://127.0.0.1:9999/v1',
  XCTL_MODEL: 'm',
  XCTL_QDRANT_URL: 'http://192.0.2.1:6333',
};

t.test('nothing leaves', async (t) => {
  const { path, backend } = await serve(t);
  backend.answers.diagnosis = async () => inputOf(WHY);
  const line = ['diag', '4242', '--socket', path, '-o', 'json'];

  const open = await counted(t, line, ENV);
  t.ok(open.tcp >= 1, `it does connect to the model without --offline: ${open.tcp}`);
  t.ok(open.unroutable >= 1, `and tries to reach Qdrant: ${open.unroutable}`);
  t.match(JSON.parse(open.stdout).sources, [{}, {}, { state: 'failed' }, { state: 'failed' }]);

  for (const [what, args, env] of [
    ['--offline', [...line, '--offline'], ENV],
    ['nothing configured', line, {}],
  ] as const) {
    const quiet = await counted(t, args, env);
    t.match(quiet, { tcp: 0, udp: 0, unroutable: 0 }, what);
    t.match(
      JSON.parse(quiet.stdout),
      { answeredBy: 'graph', cause: WHY.summary },
      `${what}: answered all the same`,
    );
  }
});
