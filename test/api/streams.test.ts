/** Readers of events: filters, slow ones, too many, the agent's end. */
import { connect } from 'node:net';
import t from 'tap';
import { AgentClient } from '../../src/api/client.js';
import {
  type EventFilter,
  isDropped,
  matches,
  parseStreamLine,
  type StreamLine,
} from '../../src/api/stream.js';
import type { Event } from '../../src/events/event.js';
import { exitEvent } from '../cli/answers.js';
import { type Served, serve } from '../cli/helpers.js';
import { until } from '../lib/until.js';

interface Reading {
  readonly lines: StreamLine[];
  readonly done: Promise<void>;
  stop(): void;
}

async function read({ path, backend }: Served, filter: EventFilter = {}): Promise<Reading> {
  const before = backend.subscribers;
  const abort = new AbortController();
  const lines: StreamLine[] = [];
  const client = new AgentClient({ socketPath: path, timeoutMs: 5000 });
  const done = client.events(filter, abort.signal, async (some) => void lines.push(...some));
  done.catch(() => {});
  if (before === 0)
    await until(() => backend.subscribers === 1, { timeoutMs: 5000, what: 'the subscription' });
  return { lines, done, stop: () => abort.abort() };
}

t.test('a reader gets what it asked for, from now on', async (t) => {
  const served = await serve(t);
  served.backend.say(exitEvent(1));
  const reading = await read(served, { types: ['process'], pid: 7 });
  served.backend.say(exitEvent(7));
  served.backend.say(exitEvent(8));
  served.backend.say({
    ...exitEvent(7),
    type: 'custom',
    customType: 'compute.step',
    attrs: {},
    probe: 'subprocess',
  });
  served.backend.say(exitEvent(7, 'two\u001b[31m'));
  await until(() => reading.lines.length === 2, { timeoutMs: 5000, what: 'two events' });
  t.match(reading.lines, [
    { type: 'process.exit', pid: 7, value: 137 },
    { attrs: { comm: 'two\u001b[31m' } },
  ]);
  reading.stop();
  await reading.done;
  await until(() => served.backend.subscribers === 0, { timeoutMs: 5000, what: 'nobody to listen any more' });
});

t.test('filters', async (t) => {
  const custom: Event = {
    ...exitEvent(7),
    type: 'custom',
    customType: 'compute.step',
    attrs: {},
    probe: 'subprocess',
  };
  t.ok(matches({}, custom));
  t.ok(matches({ types: ['compute'] }, custom));
  t.ok(matches({ types: ['x', 'compute.step'] }, custom));
  t.notOk(matches({ types: ['comp'] }, custom), 'a family is a whole word');
  t.notOk(matches({ types: ['custom'] }, custom));
  t.notOk(matches({ pid: 8 }, custom));
});

t.test('lines that are none', async (t) => {
  for (const line of [
    '',
    'x',
    'null',
    '[]',
    '{}',
    '{"dropped":"x"}',
    '{"ts":1,"type":"a","entity":"b","value":1,"probe":"p","attrs":null}',
  ]) {
    t.equal(parseStreamLine(line), undefined, line);
  }
  t.same(parseStreamLine('{"dropped":3}'), { dropped: 3 });
});

t.test('a slow reader loses events, and is told how many and where', async (t) => {
  const served = await serve(t, { maxUnreadBytes: 64 * 1024 });
  const { backend, server } = served;
  const abort = new AbortController();
  t.teardown(() => abort.abort());
  const seen: StreamLine[] = [];
  let go: (() => void) | undefined;
  const gate = new Promise<void>((resolve) => {
    go = resolve;
  });
  const client = new AgentClient({ socketPath: served.path, timeoutMs: 5000 });
  const done = client.events({}, abort.signal, async (lines) => {
    await gate;
    seen.push(...lines);
  });
  await until(() => backend.subscribers === 1, { timeoutMs: 5000, what: 'the subscription' });
  let said = 0;
  await until(
    () => {
      for (let at = 0; at < 1000; at++) backend.say(exitEvent(++said));
      return server.stats.droppedTotal > 5000;
    },
    { timeoutMs: 20_000, what: 'the reader to fall behind', everyMs: 1 },
  );
  go?.();
  await until(
    () => {
      const dropped = seen.reduce((sum, line) => sum + (isDropped(line) ? line.dropped : 0), 0);
      const events = seen.filter((line) => !isDropped(line)).length;
      return events + dropped === said;
    },
    { timeoutMs: 20_000, what: 'every event to be there or counted' },
  );
  t.ok(seen.some(isDropped));
  abort.abort();
  await done;
  await until(() => served.log.some((line) => line.includes('too slow')), {
    timeoutMs: 5000,
    what: 'the log line',
  });
  t.equal(server.stats.open, 0);
});

t.test('a reader that takes nothing at all is cut off', async (t) => {
  const served = await serve(t, { maxUnreadBytes: 1024, stalledMs: 20 });
  const socket = connect(served.path);
  socket.on('error', () => {});
  socket.pause();
  t.teardown(() => socket.destroy());
  socket.write('GET /v1/events HTTP/1.1\r\nhost: x\r\n\r\n');
  await until(() => served.backend.subscribers === 1, { timeoutMs: 5000, what: 'the subscription' });
  await until(
    () => {
      for (let at = 0; at < 1000; at++) served.backend.say(exitEvent(at + 1));
      return served.server.stats.stalledTotal === 1;
    },
    { timeoutMs: 20_000, what: 'it to be cut off' },
  );
  t.equal(served.server.stats.open, 0);
});

t.test('more readers than there may be are refused', async (t) => {
  const served = await serve(t, { maxStreams: 1 });
  const first = await read(served);
  const second = await read(served);
  await t.rejects(second.done, { name: 'RefusedError', message: /1 readers of events/ });
  first.stop();
  await first.done;
});

t.test('the end of the agent is an error', async (t) => {
  const served = await serve(t);
  const reading = await read(served);
  await served.server.stop();
  await t.rejects(reading.done, { name: 'NoAgentError', message: /ended the stream/ });
});
