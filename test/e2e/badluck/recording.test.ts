/** Recordings that go wrong: a full disk while they are made, and files that were cut short or are none. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { WhyAnswer } from '../../../src/scene/answer.js';
import { startAgent, xctl } from '../../lib/agent.js';
import { startWorkload } from '../../lib/proc.js';
import { until } from '../../lib/until.js';
import { ask, checksOf, complaintFlaws, READY, scratch, stackFlaws, startRaw } from '../lib/raw-agent.js';

t.test('a full disk ends the recording, not the agent; what was written can be replayed', async (t) => {
  const dir = scratch(t);
  const socket = join(dir, 'agent.sock');
  const disk = join(dir, 'disk');
  const mount = 'mkdir "$0" && mount -t tmpfs -o size=96k tmpfs "$0" && exec "$@"';
  const wrap = ['unshare', '--mount', 'sh', '-c', mount, disk];
  const agent = await startRaw(t, { socket, wrap, args: ['--record', join(disk, 'recording.jsonl')] });
  await agent.errorLine(READY, 30_000);
  const line = await until(
    async () => {
      await ask(socket, 'why', String(process.pid)); // a full pass, and so many events
      return agent.stderr.find((text) => text.includes('recording stopped'));
    },
    { timeoutMs: 30_000, what: 'the disk to be full' },
  );
  t.match(JSON.parse(line), { level: 'error', error: /ENOSPC/ });
  t.equal((await ask(socket, 'why', String(process.pid))).code, 0, 'it still answers');
  const check = (await checksOf(socket)).find(({ name }) => name === 'recording');
  t.match(check, { status: 'failed', detail: /stopped: \d+ events written, [1-9]\d* dropped/ });
  t.equal(agent.stderr.filter((text) => text.includes('recording stopped')).length, 1, 'said once');

  const saved = join(dir, 'saved.jsonl');
  writeFileSync(saved, readFileSync(`/proc/${agent.pid}/root${disk}/recording.jsonl`));
  const replayed = await xctl(['why', String(process.pid), '--replay', saved, '-o', 'json']);
  t.equal(replayed.code, 0, replayed.stderr);
  t.match(replayed.stderr, /^xctl why: note: the recording ends early, after \d+ events: /);
  t.notMatch(replayed.stderr, /middle of a line|no events and were passed over/, 'it ends with a whole line');
  agent.kill('SIGTERM');
  t.same(await agent.exited, { code: 0, signal: null });
  t.same(stackFlaws(agent.stderr.join('\n')), []);
});

t.test(
  'a recording that was cut anywhere is answered as far as it goes, or refused in one line',
  async (t) => {
    const dir = scratch(t);
    const file = join(dir, 'recording.jsonl');
    const agent = await startAgent(t, { args: ['--record', file] });
    const stopped = await startWorkload(t, 'stopped');
    const truth = await stopped.ready();
    await until(async () => (await agent.why(stopped.pid)).verdict === 'cause-found', {
      timeoutMs: 10_000,
      what: 'the cause',
      everyMs: 100,
    });
    await agent.stop();

    const bytes = readFileSync(file);
    const question = ['why', String(stopped.pid), '-o', 'json', '--replay'];
    const whole = await xctl([...question, file]);
    t.equal(whole.code, 0);
    t.equal(whole.stderr, '', 'nothing is missing');
    t.equal((JSON.parse(whole.stdout) as WhyAnswer).rootCause?.node, `pid:${truth.number('peer')}`);

    const header = bytes.indexOf('\n') + 1;
    const beforeTrailer = bytes.lastIndexOf('\n', bytes.length - 2) + 1;
    const cut = async (at: number) => {
      const short = join(dir, `${at}.jsonl`);
      writeFileSync(short, bytes.subarray(0, at));
      return xctl([...question, short]);
    };
    for (const at of [0, 1, Math.floor(header / 2)]) {
      const result = await cut(at);
      t.equal(result.code, 2, `${at} bytes are no recording`);
      t.same(complaintFlaws(result.stderr, 'xctl why: '), []);
    }
    const early = await cut(header);
    t.equal(early.code, 4, 'the header alone knows no process');
    t.match(early.stderr, /^xctl why: .*no process/m);
    for (const at of [beforeTrailer, beforeTrailer - 7, bytes.length - 9]) {
      const result = await cut(at);
      t.equal(result.code, 0, `${at} of ${bytes.length} bytes: ${result.stderr}`);
      t.match(result.stderr, /^xctl why: note: the recording ends early, after \d+ events/);
      t.equal((JSON.parse(result.stdout) as WhyAnswer).rootCause?.node, `pid:${truth.number('peer')}`);
    }

    const damaged = join(dir, 'damaged.jsonl');
    const middle = bytes.indexOf('\n', Math.floor(bytes.length / 2)) + 1;
    writeFileSync(
      damaged,
      Buffer.concat([bytes.subarray(0, middle), Buffer.from('\0\xff{"ts":\n[1]\n'), bytes.subarray(middle)]),
    );
    const result = await xctl([...question, damaged]);
    t.equal(result.code, 0);
    t.match(result.stderr, /2 lines are no events and were passed over/);
  },
);

t.test('what is no recording is refused in one line', async (t) => {
  const dir = scratch(t);
  const text = join(dir, 'text');
  writeFileSync(text, 'hello\n');
  const other = join(dir, 'other');
  writeFileSync(other, '{"apiVersion":"xctl/v99","kind":"Recording"}\n');
  for (const file of [text, other, dir, join(dir, 'missing'), '/dev/null']) {
    const result = await xctl(['why', '1', '--replay', file]);
    t.equal(result.code, 2, `${file}: ${result.stderr}`);
    t.same(complaintFlaws(result.stderr, 'xctl why: '), []);
  }
});
