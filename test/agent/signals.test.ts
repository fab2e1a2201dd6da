import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { build } from 'esbuild';
import t from 'tap';
import { ROOT } from '../lib/root.js';
import { tempFolder } from './fixtures.js';

interface Ended {
  readonly code: number | null;
  readonly lines: Record<string, unknown>[];
}

/** A program that says `ready` and then does what `body` says, with `signal` and `log` from signals.ts. */
async function program(t: { teardown(fn: () => unknown): void }, body: string, level = 'info') {
  const file = join(tempFolder(t), 'program.mjs');
  await build({
    stdin: {
      contents: `
        import { watchSignals, watchUncaught } from './src/agent/signals.ts';
        import { createLog } from './src/util/log.ts';
        const log = createLog('${level}');
        watchUncaught(log);
        const signal = watchSignals(log, () => log.info('reloaded'));
        const aborted = () => new Promise((resolve) => signal.addEventListener('abort', resolve));
        const idle = setTimeout(() => {}, 30_000);
        ${body}`,
      resolveDir: ROOT,
      loader: 'ts',
    },
    bundle: true,
    platform: 'node',
    format: 'esm',
    outfile: file,
  });
  const child = spawn(process.execPath, [file], { stdio: ['ignore', 'pipe', 'pipe'] });
  t.teardown(() => child.kill('SIGKILL'));
  let text = '';
  child.stderr.setEncoding('utf8').on('data', (chunk) => {
    text += chunk;
  });
  const ended = once(child, 'close').then(
    ([code]): Ended => ({
      code,
      lines: text
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line)),
    }),
  );
  return { child, ended };
}

async function ready(child: ChildProcess): Promise<void> {
  if (child.stdout !== null) await once(child.stdout, 'data');
}

const READY = "process.stdout.write('ready\\n');";

for (const name of ['SIGTERM', 'SIGINT'] as const) {
  t.test(`${name} aborts, and the program ends by itself`, async (t) => {
    const { child, ended } = await program(
      t,
      `${READY} await aborted(); clearTimeout(idle); log.info('stopped');`,
    );
    await ready(child);
    child.kill(name);
    const { code, lines } = await ended;
    t.equal(code, 0);
    t.match(lines, [{ msg: 'stopping', signal: name }, { msg: 'stopped' }]);
  });
}

t.test('what does not stop in time is ended', async (t) => {
  const { child, ended } = await program(t, READY);
  await ready(child);
  child.kill('SIGTERM');
  const { code, lines } = await ended;
  t.equal(code, 1);
  t.match(lines.at(-1), { level: 'error', msg: 'could not stop in time' });
});

t.test('a second signal ends it at once', async (t) => {
  const { child, ended } = await program(t, `${READY} await aborted(); process.stdout.write('stopping\\n');`);
  await ready(child);
  child.kill('SIGTERM');
  await ready(child);
  child.kill('SIGINT');
  t.equal((await ended).code, 130);
});

t.test('SIGHUP reloads, and nothing else', async (t) => {
  const { child, ended } = await program(t, `${READY} await aborted(); clearTimeout(idle);`);
  await ready(child);
  child.kill('SIGHUP');
  if (child.stderr !== null) await once(child.stderr, 'data');
  child.kill('SIGTERM');
  const { code, lines } = await ended;
  t.equal(code, 0);
  t.match(lines, [{ msg: /^reloading/, signal: 'SIGHUP' }, { msg: 'reloaded' }, { msg: 'stopping' }]);
});

t.test('an error that nobody caught: one line, no stack', async (t) => {
  for (const body of [
    'setTimeout(() => { throw new Error("bad\\u001b[31m"); });',
    'void Promise.reject(new Error("bad\\u001b[31m"));',
  ]) {
    const { ended } = await program(t, body);
    const { code, lines } = await ended;
    t.equal(code, 1);
    t.strictSame(
      lines.map(({ level, msg, error }) => ({ level, msg, error })),
      [{ level: 'error', msg: 'internal error', error: 'bad\u001b[31m' }],
    );
  }
  const { ended } = await program(t, 'throw new Error("bad");', 'debug');
  t.match((await ended).lines.at(-1), { level: 'debug', stack: /at / });
});

t.test('the reader of the log may go away', async (t) => {
  const { child, ended } = await program(
    t,
    `${READY} await aborted(); log.info('to nobody'); clearTimeout(idle); process.exitCode = 7;`,
  );
  await ready(child);
  child.stderr?.destroy();
  child.kill('SIGTERM');
  t.equal((await ended).code, 7);
});
