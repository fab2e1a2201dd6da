import { appendFileSync, readFileSync, statSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { Recorder } from '../../src/agent/record.js';
import type { Event } from '../../src/events/event.js';
import { type RecordingHeader, RecordingReader, type RecordingSummary } from '../../src/events/recording.js';
import { until } from '../lib/until.js';
import { customEvent, keptLog, tempFolder, tinyDisk } from './fixtures.js';

const HEADER: RecordingHeader = {
  apiVersion: 'xctl/v1',
  kind: 'Recording',
  node: 'gpu-node-7',
  agentVersion: '0.1.0',
  startedAt: '2026-11-22T12:00:00.000Z',
  bootEpochMs: 1_800_000_000_000.25,
};

async function recorded(path: string, count: number): Promise<void> {
  const recorder = new Recorder(path, keptLog().log);
  await recorder.start(HEADER);
  for (let n = 0; n < count; n++) recorder.write(customEvent(n));
  await recorder.stop();
}

async function readAll(
  path: string,
): Promise<{ events: Event[]; summary: RecordingSummary; header: RecordingHeader }> {
  const reader = await RecordingReader.open(path);
  const events: Event[] = [];
  for await (const event of reader) events.push(event);
  return { events, summary: reader.summary(), header: reader.header };
}

t.test('what is recorded is what is replayed', async (t) => {
  const path = join(tempFolder(t), 'run.jsonl');
  await recorded(path, 5000);
  const { events, summary, header } = await readAll(path);
  t.strictSame(header, HEADER);
  t.strictSame(
    events,
    Array.from({ length: 5000 }, (_, n) => customEvent(n)),
  );
  t.match(summary, { events: 5000, rejected: {}, truncated: false, trailer: { events: 5000, dropped: 0 } });
  t.equal(statSync(path).mode & 0o777, 0o600, 'for root alone: it holds command lines');
});

t.test('nothing that exists is written to', async (t) => {
  const folder = tempFolder(t);
  const path = join(folder, 'other.txt');
  writeFileSync(path, 'mine');
  symlinkSync(join(folder, 'target'), join(folder, 'dangling'));
  for (const taken of [path, join(folder, 'dangling'), folder, '/dev/null']) {
    await t.rejects(
      new Recorder(taken, keptLog().log).start(HEADER),
      { name: 'UsageError', message: /exists already; name a new file/ },
      taken,
    );
  }
  t.equal(readFileSync(path, 'utf8'), 'mine');
  await t.rejects(new Recorder(join(folder, 'no', 'x'), keptLog().log).start(HEADER), {
    message: /directory of .* does not exist/,
  });
});

t.test('a full disk ends the recording and nothing else', async (t) => {
  const path = join(await tinyDisk(t, '256k'), 'run.jsonl');
  const { log, lines } = keptLog();
  const recorder = new Recorder(path, log);
  await recorder.start(HEADER);
  let offered = 0;
  await until(
    () => {
      for (let i = 0; i < 100; i++) recorder.write(customEvent(offered++, 'x'.repeat(200)));
      return !recorder.stats().active;
    },
    { timeoutMs: 20_000, what: 'the disk to be full' },
  );
  recorder.write(customEvent(offered++));
  await recorder.stop();
  const stats = recorder.stats();
  t.equal(
    stats.events + stats.dropped.disk + stats.dropped.buffer,
    offered,
    'every event is written or counted',
  );
  t.ok(stats.events > 0);
  const errors = lines.filter((line) => line.level === 'error');
  t.equal(errors.length, 1);
  t.match(errors[0], { msg: /recording stopped/, error: /ENOSPC/ });
  const { events, summary } = await readAll(path);
  t.equal(events.length, stats.events, 'what is there is whole');
  t.match(summary, { truncated: false, trailer: null });
});

t.test('no room for even a header', async (t) => {
  const folder = await tinyDisk(t, '4k');
  try {
    writeFileSync(join(folder, 'filler'), Buffer.alloc(64 * 1024));
  } catch {
    // It was to fill up.
  }
  await t.rejects(new Recorder(join(folder, 'run.jsonl'), keptLog().log).start(HEADER), {
    name: 'XctlError',
    message: /ENOSPC/,
  });
});

t.test('a truncated recording', async (t) => {
  const path = join(tempFolder(t), 'run.jsonl');
  await recorded(path, 100);
  const whole = readFileSync(path, 'utf8');
  const trailer = whole.trimEnd().lastIndexOf('\n') + 1;
  truncateSync(path, trailer - 40);
  const { events, summary } = await readAll(path);
  t.equal(events.length, 99);
  t.match(summary, { truncated: true, trailer: null });
  truncateSync(path, trailer - 40 - (whole.length - trailer));
  t.ok((await readAll(path)).events.length >= 97, 'at any place');
});

t.test('garbage between the lines is counted and passed over', async (t) => {
  const path = join(tempFolder(t), 'run.jsonl');
  await recorded(path, 2);
  appendFileSync(path, 'garbage\n{"ts":1}\n\u0000\u0001\n[]\n');
  appendFileSync(path, `{"text":"${'x'.repeat(5 * 1024 * 1024)}"}\n`);
  appendFileSync(
    path,
    '{"ts":5,"type":"compute.late","entity":"gpu:0","value":1,"attrs":{},"probe":"subprocess"}\n',
  );
  const { events, summary } = await readAll(path);
  t.equal(events.length, 3);
  t.strictSame(summary.rejected, { json: 2, probe: 1, object: 1, line: 1 });
});

t.test('what is no recording of ours', async (t) => {
  const folder = tempFolder(t);
  const refused = async (content: string | Buffer, message: RegExp): Promise<void> => {
    const path = join(folder, 'x');
    writeFileSync(path, content);
    await t.rejects(RecordingReader.open(path), { name: 'UsageError', message });
  };
  await refused('', /is not a recording/);
  await refused('hello\n', /is not a recording/);
  await refused('{"apiVersion":"xctl/v1","kind":"Recording"}\n', /is not a recording/);
  await refused(JSON.stringify(HEADER), /is not a recording/);
  await refused(Buffer.alloc(6 * 1024 * 1024, 0x61), /is not a recording/);
  await refused(
    `${JSON.stringify({ ...HEADER, apiVersion: 'xctl/v9', agentVersion: '9.0' })}\n`,
    /format xctl\/v9 \(xctl-agent 9.0\)/,
  );
  await t.rejects(RecordingReader.open(join(folder, 'none')), {
    name: 'UsageError',
    message: /cannot read .*ENOENT/,
  });
  await t.rejects(RecordingReader.open(folder), { name: 'UsageError', message: /EISDIR/ });
});

t.test('an iteration that is left early closes the file', async (t) => {
  const path = join(tempFolder(t), 'run.jsonl');
  await recorded(path, 100);
  const reader = await RecordingReader.open(path);
  for await (const event of reader) {
    t.equal(event.value, 0);
    break;
  }
  t.equal(reader.summary().events, 1);
});
