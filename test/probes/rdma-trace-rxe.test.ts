/** Probe `rdma-trace` with real verbs: libibverbs, its provider of Soft-RoCE, and queue pairs that the kernel knows. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { attrsFit } from '../../src/events/catalogue.js';
import type { EventOf } from '../../src/events/event.js';
import { buildIdOf } from '../../src/kernel/elf-frames.js';
import { RdmaTraceProbe } from '../../src/probes/rdma-trace.js';
import { OWN_PREFIX } from '../lib/owner.js';
import { createRdmaWorld, queuePairs, rdmaMissing } from '../lib/rdma.js';
import { until } from '../lib/until.js';
import { type Rig, startProbe } from './lib/rig.js';

const skip = (await rdmaMissing()) ?? false;
const SIZE_BYTES = 64;

type Posts = EventOf<'rdma.posts'>;
type TraceRig = Rig<RdmaTraceProbe>;

/** A post costs far more under emulation than the budget reckons with. */
function traceRig(t: Test): Promise<TraceRig> {
  return startProbe(
    t,
    (context) => new RdmaTraceProbe(context, { budgetShare: 10, watch: { firstMs: 10, maxMs: 250 } }),
  );
}

function last(
  rig: TraceRig,
  pid: number,
  pass: (event: Posts) => boolean,
  timeoutMs = 15_000,
): Promise<Posts> {
  return until(() => rig.all('rdma.posts', (event) => event.pid === pid && pass(event)).at(-1), {
    timeoutMs,
    what: `posts of ${pid}`,
  });
}

function check(rig: TraceRig, name = 'probe rdma-trace'): string {
  return rig.probe.checks().find((one) => one.name === name)?.detail ?? '';
}

async function traced(rig: TraceRig, files: number): Promise<void> {
  await until(() => new RegExp(`post_send in ${files} provider`).test(check(rig)), {
    timeoutMs: 20_000,
    what: `post_send in ${files} files`,
  });
}

/** The provider of Soft-RoCE as a container may have it: the same code under another build id. */
async function otherBuild(t: Test): Promise<string> {
  const dir = mkdtempSync(join(tmpdir(), OWN_PREFIX));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  const found = execFileSync('sh', ['-c', 'ls /usr/lib/*/libibverbs/librxe-rdmav*.so'], { encoding: 'utf8' });
  const from = realpathSync(found.trim());
  const to = join(dir, from.slice(from.lastIndexOf('/') + 1));
  copyFileSync(from, to);
  const handle = await open(to, 'r');
  const id = await buildIdOf(async (offset, sizeBytes) => {
    const buffer = Buffer.alloc(sizeBytes);
    const { bytesRead } = await handle.read(buffer, 0, sizeBytes, offset);
    return buffer.subarray(0, bytesRead);
  });
  await handle.close();
  const bytes = readFileSync(to);
  const at = bytes.indexOf(Buffer.from(id ?? '', 'hex'));
  bytes[at] = (bytes[at] ?? 0) ^ 0xff;
  writeFileSync(to, bytes);
  return to.replace(/-rdmav\d+\.so$/, '');
}

t.test('with devices', { skip }, async (t) => {
  const world = await createRdmaWorld(t);

  await t.test('posts by the agent’s own context: counted as many as there were', async (t) => {
    const rig = await traceRig(t);
    const both = { do: 'ping', size: SIZE_BYTES, start: 'signal' };
    const { sender, receiver } = await world.pair({ both });
    await traced(rig, 1);
    t.match(check(rig, 'probe rdma-trace/cost'), /us a post, measured on this machine/);
    t.comment(check(rig, 'probe rdma-trace/cost'));
    sender.kill('SIGUSR1');
    await sender.line(/kind=step step=300$/, 60_000);
    process.kill(sender.pid, 'SIGSTOP');
    const steps = sender.truths('step').at(-1)?.number('step') ?? 0;
    // It stands still: two looks with the same count.
    let before = -1;
    const { attrs, entity } = await until(
      () => {
        rig.probe.pass(true);
        const now = rig.all('rdma.posts', ({ pid }) => pid === sender.pid).at(-1);
        const same = now?.attrs.totalPosts === before;
        before = now?.attrs.totalPosts ?? -1;
        return same ? now : undefined;
      },
      { timeoutMs: 20_000, what: 'its last count', everyMs: 100 },
    );
    const [qp] = queuePairs(sender);
    t.equal(entity, `qp:${world.a.device}/${qp?.qpn}`);
    t.ok(attrs.totalPosts > steps - 1 && attrs.totalPosts <= steps + 100, `${attrs.totalPosts} for ${steps}`);
    const all = rig.all('rdma.posts', ({ pid }) => pid === sender.pid);
    t.equal(
      all.reduce((sum, event) => sum + event.attrs.posts, 0),
      attrs.totalPosts,
    );
    t.equal(
      all.reduce((sum, event) => sum + event.attrs.bytes, 0),
      attrs.totalPosts * SIZE_BYTES,
    );
    const answers = await last(rig, receiver.pid, () => true);
    t.equal(answers.entity, `qp:${world.b.device}/${qp?.peer}`);
    for (const event of rig.all('rdma.posts')) t.ok(attrsFit(event.type, event.attrs));
    await sender.stop();
    await receiver.stop();
  });

  await t.test('what is outstanding, and since when, while nothing gets through', async (t) => {
    const rig = await traceRig(t);
    const both = { do: 'write', depth: 4, timeout: 14, retry_cnt: 7, pace_ms: 2 };
    const { sender, receiver } = await world.pair({ both });
    await last(rig, sender.pid, ({ attrs }) => attrs.outstanding !== undefined);
    const lost = Date.now();
    await world.lose(100);
    const stuck = await last(
      rig,
      sender.pid,
      ({ attrs }) => attrs.outstanding === 4 && (attrs.oldest ?? 0) > lost - 1_000,
    );
    t.ok((stuck.attrs.oldest ?? 0) <= stuck.ts);
    await world.heal();
    await last(
      rig,
      sender.pid,
      ({ attrs, ts }) => ts > stuck.ts && attrs.totalPosts > stuck.attrs.totalPosts + 4,
      30_000,
    );
    await rig.probe.stop();
    const end = rig.all('rdma.posts', ({ pid }) => pid === sender.pid).at(-1);
    t.equal(end?.attrs.stopped, true, 'whoever keeps what was told knows that nobody looks any more');
    await sender.stop();
    await receiver.stop();
  });

  await t.test('a container’s own build: found by the queue pairs of who uses it', async (t) => {
    const rig = await traceRig(t);
    const env = { RDMAV_DRIVERS: await otherBuild(t) };
    const { sender, receiver } = await world.pair({ both: { do: 'ping', pace_ms: 5 }, options: { env } });
    // The system's own copy is mapped as well, and not what is called.
    await traced(rig, 2);
    const event = await last(rig, sender.pid, () => true, 30_000);
    t.equal(event.entity, `qp:${world.a.device}/${queuePairs(sender)[0]?.qpn}`);
    t.equal(check(rig, 'probe rdma-trace/processes'), '', 'nobody is unseen');
    t.equal(sender.truths('error').length, 0);
    await sender.stop();
    await receiver.stop();
  });

  await t.test('a thousand queue pairs: each is told, and none twice', async (t) => {
    const rig = await traceRig(t);
    const both = { do: 'write', n: 1_000, recvs: 1, depth: 1, start: 'signal' };
    const { sender, receiver } = await world.pair({ both });
    await traced(rig, 1);
    sender.kill('SIGUSR1');
    await sender.line(/kind=step step=1000$/, 90_000);
    const qps = new Set(queuePairs(sender).map(({ qpn }) => `qp:${world.a.device}/${qpn}`));
    const told = (): Set<string> =>
      new Set(rig.all('rdma.posts', ({ pid }) => pid === sender.pid).map(({ entity }) => entity));
    await until(() => told().size >= 1_000, { timeoutMs: 30_000, what: 'a thousand queue pairs' });
    t.same(
      [...told()].filter((entity) => !qps.has(entity)),
      [],
    );
    await sender.stop();
    await receiver.stop();
  });
});
