/** Too much at once: short processes by the thousand, and a node that is full of sockets before the agent starts. */
import { join } from 'node:path';
import t from 'tap';
import { RecordingReader } from '../../../src/events/recording.js';
import { type Agent, startAgent } from '../../lib/agent.js';
import { rssBytes } from '../../lib/proc.js';
import { createWorld } from '../../lib/world.js';
import { isWell, startE2e } from '../lib/ask.js';
import { checksOf, scratch, stackFlaws } from '../lib/raw-agent.js';

t.test('10,000 short processes a second: each end is seen, or counted as lost', async (t) => {
  const file = join(scratch(t), 'recording.jsonl');
  const metrics = ['--metrics-port', '0', '--metrics-address', '127.0.0.1'];
  const agent = await startAgent(t, { args: ['--record', file, ...metrics] });
  const url = await metricsUrl(agent);
  const burst = await startE2e(t, 'burst', { rate: 10_000, seconds: 3 });
  const done = await burst.ready('done');
  const made = done.number('count');
  t.ok(isWell(await agent.why(burst.pid)), 'it answers, and all rings are read');
  const lost = await lostRecords(url);
  await agent.stop();

  const ends = new Map<string, number>();
  const reader = await RecordingReader.open(file);
  for await (const event of reader) {
    if (event.type !== 'process.exit' || event.attrs.ppid !== burst.pid) continue;
    const process = `${event.pid} ${event.attrs.start}`;
    ends.set(process, (ends.get(process) ?? 0) + 1);
  }
  const unrecorded = reader.summary().trailer?.dropped ?? Number.NaN;
  const told = `${ends.size} seen, ${lost} lost, ${unrecorded} not recorded of ${made}`;
  t.ok(
    [...ends.values()].every((times) => times === 1),
    'none was told twice',
  );
  t.ok(ends.size <= made, told);
  t.ok(ends.size + lost + unrecorded >= made, told);
  t.same(stackFlaws(agent.proc.stderr.join('\n')), []);
  t.comment(`${done.text('per_second')} a second: ${told}`);
});

async function metricsUrl(agent: Agent): Promise<string> {
  const line = await agent.proc.errorLine(/"port":\d+/);
  const { port } = JSON.parse(line) as { port: number };
  return `http://127.0.0.1:${port}/metrics`;
}

/** What the kernel side lost, whatever it was. */
async function lostRecords(url: string): Promise<number> {
  const text = await (await fetch(url)).text();
  const values = [...text.matchAll(/^xctl_events_lost_total\{[^}]*\} (\d+)$/gm)].map((match) =>
    Number(match[1]),
  );
  return values.reduce((sum, value) => sum + value, 0);
}

const CONNECTIONS_EACH = 8400;
const HOLDERS = 3;
/** Twice what the agent may use on a loaded node: this is no node's daily load. */
const MAX_RSS_BYTES = 240 * 1024 * 1024;

t.test('50,000 open sockets at the start: it gets ready, stays small and answers', async (t) => {
  const world = await createWorld(t);
  const holders = await Promise.all(
    Array.from({ length: HOLDERS }, () => world.start('a', 'many_sockets', { n: CONNECTIONS_EACH })),
  );
  for (const holder of holders) await holder.line(/kind=all/, 60_000);
  const agent = await startAgent(t, { readyTimeoutMs: 60_000 });
  for (const holder of holders) {
    const answer = await agent.why(holder.pid);
    t.ok(isWell(answer), answer.summary);
  }
  t.equal((await agent.xctl('why')).code, 0);
  const rss = rssBytes(agent.pid) ?? Number.POSITIVE_INFINITY;
  t.ok(rss < MAX_RSS_BYTES, `RSS ${Math.round(rss / 1024 / 1024)} MB`);
  const checks = await checksOf(agent.socket);
  t.same(
    checks.filter((check) => check.status === 'failed'),
    [],
  );
  t.comment(`RSS ${Math.round(rss / 1024 / 1024)} MB`);
  t.equal((await agent.proc.stop('SIGTERM')).code, 0);
});
