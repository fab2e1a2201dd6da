/** GPUs in the graph: one node whatever it is called, each fault once, who uses it and since when. */
import assert from 'node:assert/strict';
import t from 'tap';
import type { GpuNode } from '../../src/graph/gpu-node.js';
import { findGpu } from '../../src/graph/gpu.js';
import { usersOf } from '../../src/graph/gpu-users.js';
import { Story, T0 } from '../scene/build.js';
import { device, GIB, health, line, nvml, opened, pciOf, state, use, users } from '../scene/gpu-story.js';
import { unsound } from './invariants.js';
import { fc, runs } from '../lib/property.js';

function gpu(s: Story, id = 'gpu:0'): GpuNode {
  const node = findGpu(s.graph, id);
  if (node === undefined) throw new Error(`no ${id}`);
  return node;
}

const codes = (node: GpuNode) => node.xids.map(({ code }) => code);

t.test('the kernel log’s address and NVML’s number are one', async (t) => {
  const s = new Story();
  line(s.seen(10), 0, 79, { pid: 10 });
  t.ok(s.graph.nodes.has(`gpu:${pciOf(0)}`), 'before the number is known');
  device(s.later(5), 0, `00000000:3B:00.0`);
  t.notOk(s.graph.nodes.has(`gpu:${pciOf(0)}`), 'after');
  line(s, 0, 154);
  t.same(codes(gpu(s)), [79, 154]);
  t.equal(findGpu(s.graph, `gpu:PCI:0000:3b:00`), gpu(s), 'in any spelling');
  t.same(
    gpu(s).in.map(({ from }) => from.id),
    ['pid:10'],
    'the process that the line named',
  );
  t.same(unsound(s.graph), []);
});

t.test('a number that another GPU has after a reload: its faults are not told of this one', async (t) => {
  const s = new Story();
  line(device(s, 0), 0, 79);
  device(device(s.later(1), 0, pciOf(1)), 1, pciOf(0));
  t.same(codes(gpu(s)), []);
  line(s, 1, 48);
  t.same(codes(gpu(s)), [48], 'found by its new address');
  t.same(unsound(s.graph), []);
});

t.test('a fault told twice is one, and told again is another', async (t) => {
  const rows: readonly (readonly [string, (s: Story) => void, number])[] = [
    ['line, then NVML', (s) => nvml(line(s, 0, 79).later(1_500), 0, 79), 1],
    ['NVML, then line', (s) => line(nvml(s, 0, 79).later(1_500), 0, 79), 1],
    ['before the number was known', (s) => nvml(device(line(s, 2, 79), 2).later(100), 2, 79), 1],
    ['the two lines of a lost GPU', (s) => line(line(s, 0, 79, { toldBy: 'lost' }).later(5), 0, 79), 1],
    ['all three', (s) => nvml(line(line(s, 0, 79, { toldBy: 'lost' }), 0, 79), 0, 79), 1],
    ['two lines', (s) => line(line(s, 0, 31).later(10), 0, 31), 2],
    ['far apart', (s) => nvml(line(s, 0, 31).later(60_000), 0, 31), 2],
    ['two GPUs', (s) => nvml(line(device(s, 1), 1, 79), 0, 79), 2],
    [
      'a burst that the limit held back',
      (s) => line(line(s, 0, 13).later(12_000), 0, 13, { suppressed: 40 }),
      42,
    ],
  ];
  for (const [name, tell, count] of rows) {
    const s = new Story();
    tell(device(s, 0));
    const total = s.graph.xids.counts().reduce((sum, one) => sum + one.count, 0);
    t.equal(total, count, name);
  }
});

t.test('what both know of it is together', async (t) => {
  const both = new Story();
  device(both, 0).say('gpu.event', 'gpu:0', 94, { kind: 'xid', xid: 94, gi: 1, ci: 0 }, 'gpu');
  line(both.later(40), 0, 94, { pid: 10, comm: 'python3' });
  const [xid] = gpu(both).xids;
  t.match(xid, { code: 94, ts: T0, gi: 1, ci: 0, pid: 10, comm: 'python3' });
  t.same([...(xid?.sources ?? [])], ['nvml', 'line']);
});

t.test('codes that no table has are counted under one name', async (t) => {
  const s = new Story();
  line(line(line(device(s), 0, 60_001), 0, 60_002), 3, 60_003);
  t.same(s.graph.xids.counts(), [
    { gpu: 0, xid: 'other', count: 2 },
    { gpu: undefined, xid: 'other', count: 1 },
  ]);
});

t.test('an application that fails over and over does not push out what matters', async (t) => {
  const s = new Story();
  line(device(s), 0, 48);
  for (let i = 0; i < 500; i++) line(s.later(100), 0, 31, { pid: 1_000 + i });
  t.ok(codes(gpu(s)).includes(48));
  t.ok(gpu(s).xids.length <= 96);
});

t.test('who uses it', async (t) => {
  const s = new Story();
  users(device(s.seen(10).seen(11)), 0, [10, 4], [99, 1]);
  const edges = () => gpu(s).in.map(({ from, kind }) => `${from.id} ${kind}`);
  t.same(edges(), ['pid:10 Consumes'], 'of a process that nobody has seen there is no node');
  t.same(
    usersOf(gpu(s)).map(({ pid, context, open, grownBytes }) => [pid, context, open, grownBytes]),
    [
      [10, true, false, 0],
      [99, true, false, 0],
    ],
  );
  opened(s.later(100), 0, 10, 11);
  t.match(gpu(s).users.get(11), { context: false, open: true });
  t.match(gpu(s).users.get(10), { context: true, open: true, memoryBytes: 4 * GIB });
  users(opened(s.later(100), 0, 11), 0, [11, 2]);
  t.equal(gpu(s).users.get(10)?.leftTs, s.now, 'gone from both lists');
  t.match(gpu(s).users.get(11), { context: true, grownBytes: 2 * GIB, grewTs: s.now });
  use(s.later(20_000), 0);
  t.ok(edges().includes('pid:10 Consumes'), 'who has just left is still looked at');
  users(s.later(20_000), 0, [11, 2]);
  use(s, 0);
  t.same(edges(), ['pid:11 Consumes']);
  t.notOk(gpu(s).users.has(10));
  s.exited(11, { code: 1 });
  t.same(edges(), []);
  t.same(usersOf(gpu(s)), []);
  t.same(s.graph.process(11)?.gpusAtExit, [{ id: 'gpu:0' }]);
  t.same(unsound(s.graph), []);
});

t.test('a pid that was given out anew is somebody else', async (t) => {
  const s = new Story();
  users(device(s.seen(10)), 0, [10, 4]);
  s.later(1_000).exited(10, { code: 1 }).begin(10, 3e7).seen(10, { comm: 'other' });
  users(s.later(10), 0, [10, 4]);
  t.same(gpu(s).in, [], 'the list is a second old and means the one before');
});

t.test('growth counts for a minute', async (t) => {
  const s = new Story();
  users(device(s.seen(10)), 0, [10, 10]);
  users(s.later(5_000), 0, [10, 30]);
  t.equal(gpu(s).users.get(10)?.grownBytes, 20 * GIB);
  users(s.later(50_000), 0, [10, 25]);
  t.equal(gpu(s).users.get(10)?.grownBytes, 15 * GIB);
  users(s.later(50_000), 0, [10, 25]);
  t.equal(gpu(s).users.get(10)?.grownBytes, 0);
  t.equal(gpu(s).users.get(10)?.grewTs, T0 + 5_000);
});

t.test('idle, full and slowed: since when', async (t) => {
  const s = new Story();
  const full = { usedBytes: 79 * GIB, freeBytes: GIB };
  use(device(s), 0, { gpuPercent: 40 });
  t.equal(gpu(s).idleSinceTs, undefined);
  use(s.later(1_000), 0, { gpuPercent: 0, throttle: ['idle'], ...full });
  use(s.later(1_000), 0, { gpuPercent: 1, throttle: ['hw-thermal'], ...full });
  use(s.later(1_000), 0, { gpuPercent: 0, throttle: ['hw-thermal', 'hw-slowdown'], ...full });
  t.match(gpu(s), {
    idleSinceTs: T0 + 1_000,
    full: { since: T0 + 1_000 },
    throttle: { since: T0 + 2_000, reasons: ['hw-thermal', 'hw-slowdown'] },
  });
  use(s.later(1_000), 0, { gpuPercent: 50 });
  t.match(gpu(s), { idleSinceTs: undefined, full: undefined, throttle: undefined });
  t.equal(gpu(s).lastFull?.fact.ts, T0 + 3_000);
  use(s.later(1_000), 0, {});
  t.equal(gpu(s).idleSinceTs, undefined, 'a GPU that does not tell is not idle');
});

t.test('what became worse, and is better again after a reset', async (t) => {
  const s = new Story();
  health(device(s), 0, { uncorrectedVolatile: 5, links: [{ link: 3, up: false }] });
  t.equal(gpu(s).worse.size, 0, 'from before');
  health(s.later(10), 0, { uncorrectedVolatile: 6, links: [{ link: 3, up: true }] });
  health(s.later(10), 0, { uncorrectedVolatile: 8, remapPending: true, links: [{ link: 3, up: false }] });
  t.same([...gpu(s).worse.keys()].sort(), ['ecc', 'nvlink', 'remap-pending']);
  t.match(gpu(s).worse.get('ecc'), { since: T0 + 10, count: 3 });
  t.match(gpu(s).worse.get('nvlink'), { since: T0 + 20, links: [3] });
  state(s.later(10), 0, { state: 'lost' });
  state(s.later(10), 0, { state: 'ok', was: 'lost' });
  t.equal(gpu(s).worse.size, 0);
  t.match(gpu(s).before, { state: { attrs: { state: 'lost' } } });
  t.equal(gpu(s).before?.worse.size, 3);
});

t.test('a GPU ages out when it is not there any more, and not while it is', async (t) => {
  const s = new Story();
  device(line(device(s, 0), 5, 79), 1);
  s.say('gpu.device', 'gpu:1', 0, { instances: [], gone: true }, 'gpu');
  for (let i = 0; i < 700; i++) use(s.later(1_000), 0);
  t.same(
    [...s.graph.gpus].map(({ id }) => id),
    ['gpu:0'],
  );
  t.same([...s.graph.gpusByPci.keys()], [pciOf(0)]);
});

t.test(
  'property: whatever is said in whatever order, a GPU is one node and no fault counts more than it was told',
  async (t) => {
    const deed = fc.oneof(
      fc.tuple(fc.nat(2), fc.constantFrom(13, 48, 79)).map(
        ([n, code]) =>
          (s: Story) =>
            void line(s, n, code),
      ),
      fc.tuple(fc.nat(2), fc.constantFrom(13, 48, 79)).map(
        ([n, code]) =>
          (s: Story) =>
            void nvml(s, n, code),
      ),
      fc.tuple(fc.nat(2), fc.nat(2)).map(
        ([n, pci]) =>
          (s: Story) =>
            void device(s, n, pciOf(pci)),
      ),
      fc.tuple(fc.nat(2), fc.array(fc.nat(4))).map(
        ([n, pids]) =>
          (s: Story) =>
            void users(s, n, ...[...new Set(pids)].map((pid) => [pid + 1, pid] as const)),
      ),
      fc.tuple(fc.nat(2), fc.array(fc.nat(4))).map(
        ([n, pids]) =>
          (s: Story) =>
            void opened(s, n, ...new Set(pids.map((pid) => pid + 1))),
      ),
      fc.nat(4).map((n) => (s: Story) => void s.seen(n + 1)),
      fc.nat(4).map((n) => (s: Story) => void s.exited(n + 1, { code: n })),
      fc.nat(2).map((n) => (s: Story) => void use(s, n)),
      fc.constantFrom(1, 3_000, 40_000).map((ms) => (s: Story) => void s.later(ms)),
    );
    fc.assert(
      fc.property(fc.array(deed, { maxLength: 60 }), (deeds) => {
        const s = new Story();
        for (const one of deeds) one(s);
        assert.deepEqual(unsound(s.graph), []);
        const told = s.events.filter(({ type }) => type === 'error.xid' || type === 'gpu.event').length;
        const counted = s.graph.xids.counts().reduce((sum, { count }) => sum + count, 0);
        assert.ok(counted <= told && (told === 0) === (counted === 0));
        for (const [pci, node] of s.graph.gpusByPci) {
          assert.equal(node.pci, pci);
          assert.equal(s.graph.nodes.get(node.id), node);
          assert.deepEqual(
            node.xids,
            [...node.xids].sort((a, b) => a.ts - b.ts),
          );
        }
        for (const node of s.graph.gpus) {
          assert.equal(s.graph.nodes.get(node.id), node);
          for (const { process, pid } of usersOf(node))
            assert.ok(process === undefined || process.pid === pid);
        }
      }),
      { numRuns: runs(500) },
    );
    t.pass();
  },
);
