/** Too much at once: short processes by the thousand, and a node that is full of sockets before the agent starts. */
import { join } from 'node:path';
import t from 'tap';
import type { Event } from '../../../src/events/event.js';
import { RecordingReader } from '../../../src/events/recording.js';
import { type Agent, startAgent } from '../../lib/agent.js';
import { workload } from '../../lib/cc.js';
import { type Proc, rssBytes, startWorkload } from '../../lib/proc.js';
import { until } from '../../lib/until.js';
import { createWorld } from '../../lib/world.js';
import { brief } from '../lib/ask.js';
import { checksOf, scratch, stackFlaws } from '../lib/raw-agent.js';

t.test('short processes as fast as they come: each end is seen, or counted as lost', async (t) => {
  const file = join(scratch(t), 'recording.jsonl');
  const agent = await startAgent(t, { args: ['--record', file, '--metrics-port', '0', '--metrics-address', '127.0.0.1'] });
  const url = await metricsUrl(agent);
  const path = await workload('true');
  const spawner = await startWorkload(t, 'spawner', { path, rate: 1_000_000, seconds: 3 });
  const done = await spawner.line(/kind=done/);
  const made = Number(/count=(\d+)/.exec(done)?.[1]);
  t.ok(made > 1000, `${made} processes`);
  await until(async () => (await childrenOf(agent, spawner)) === 0, {
    timeoutMs: 20_000,
    what: 'every child to have ended for the agent, too',
    everyMs: 200,
  });
  const lost = await lostRecords(url);
  await agent.stop();

  const reader = await RecordingReader.open(file);
  const ends = new Map<string, number>();
  for await (const event of reader) {
    if (!isEndOfChild(event, spawner.pid)) continue;
    const process = `${event.pid} ${event.attrs.start}`;
    ends.set(process, (ends.get(process) ?? 0) + 1);
  }
  const { trailer } = reader.summary();
  const unrecorded = trailer?.dropped ?? Number.NaN;
  t.ok([...ends.values()].every((times) => times === 1), 'none was told twice');
  t.ok(ends.size <= made, `${ends.size} seen of ${made} made`);
  t.ok(ends.size + lost + unrecorded >= made, `${ends.size} seen, ${lost} lost, ${unrecorded} not recorded of ${made}`);
  t.same(stackFlaws(agent.proc.stderr.join('\n')), []);
  t.comment(`${Math.round(made / 3)} a second: ${ends.size} seen, ${lost} lost, ${unrecorded} not recorded of ${made}`);
});

type End = Extract<Event, { readonly type: 'process.exit' }>;

function isEndOfChild(event: Event, parent: number): event is End {
  return event.type === 'process.exit' && event.attrs.ppid === parent && event.attrs.comm === 'true';
}

async function metricsUrl(agent: Agent): Promise<string> {
  const line = await agent.proc.errorLine(/"port":\d+/);
  const { port } = JSON.parse(line) as { port: number };
  return `http://127.0.0.1:${port}/metrics`;
}

/** What the kernel side lost, whatever it was. */
async function lostRecords(url: string): Promise<number> {
  const text = await (await fetch(url)).text();
  const values = [...text.matchAll(/^xctl_events_lost_total\{[^}]*\} (\d+)$/gm)].map((match) => Number(match[1]));
  return values.reduce((sum, value) => sum + value, 0);
}

async function childrenOf(agent: Agent, parent: Proc): Promise<number> {
  const { stdout } = await agent.xctl('ps', '-o', 'json');
  const { processes } = JSON.parse(stdout) as { processes: { ppid: number; state: string }[] };
  return processes.filter((row) => row.ppid === parent.pid && row.state === 'running').length;
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
    t.match(brief(answer), { verdict: 'healthy', root: null }, answer.summary);
  }
  t.equal((await agent.xctl('why')).code, 0);
  const rss = rssBytes(agent.pid) ?? Number.POSITIVE_INFINITY;
  t.ok(rss < MAX_RSS_BYTES, `RSS ${Math.round(rss / 1024 / 1024)} MB`);
  const checks = await checksOf(agent.socket);
  t.same(checks.filter((check) => check.status === 'failed'), []);
  t.comment(checks.map((check) => `${check.name}: ${check.detail}`).join('\n'));
  t.equal((await agent.proc.stop('SIGTERM')).code, 0);
});
