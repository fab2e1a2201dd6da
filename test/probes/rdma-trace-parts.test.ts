/** Parts of probe `rdma-trace` that need no kernel: memory maps, places, the oldest work request, the budget. */
import t from 'tap';
import { POST_NS, STEP_NS, VerbsBudget } from '../../src/probes/rdma-trace-budget.js';
import { OldestPost } from '../../src/probes/rdma-trace-oldest.js';
import { mappedProviders } from '../../src/probes/rdma-trace-places.js';
import { codeAround } from '../../src/probes/uprobe-maps.js';
import { fc } from '../lib/property.js';

const LIBRARIES = '/usr/lib/x86_64-linux-gnu';

function line(path: string, inode = 4711, range = '7f10a000-7f10b000'): string {
  return `${range} r-xp 00001000 fd:01 ${inode}                       ${path}`;
}

t.test('provider libraries in a memory map', async (t) => {
  const found = (path: string): number => mappedProviders(`${line(path)}\n`).length;
  for (const path of [
    `${LIBRARIES}/libibverbs/librxe-rdmav34.so`,
    `${LIBRARIES}/libibverbs/libbnxt_re-rdmav57.so (deleted)`,
    `${LIBRARIES}/libmlx5.so.1.24.44.0`,
    '/opt/venv/libs/libmlx5-1f0b2c3d.so.1.25.50.0',
    `${LIBRARIES}/libefa.so.1`,
  ])
    t.equal(found(path), 1, path);
  for (const path of [
    `${LIBRARIES}/libibverbs.so.1.14.44.0`,
    `${LIBRARIES}/libmlx5.so.1.bak`,
    '/tmp/libmlx5.py',
    `${LIBRARIES}/libc.so.6`,
  ])
    t.equal(found(path), 0, path);
  t.same(mappedProviders(`${line(`${LIBRARIES}/libmlx5.so.1.24.44.0`)}\n`), [
    {
      library: 'provider',
      key: 'fd:01/4711',
      range: '7f10a000-7f10b000',
      path: `${LIBRARIES}/libmlx5.so.1.24.44.0`,
    },
  ]);
});

t.test('the executed file that an address is in', async (t) => {
  const maps = [
    '7f109000-7f10a000 r--p 00000000 fd:01 4711                       /usr/lib/libmlx5.so.1',
    line('/usr/lib/libmlx5.so.1'),
    '7f10b000-7f10c000 rw-p 00002000 fd:01 4711                       /usr/lib/libmlx5.so.1',
    '7f20a000-7f20b000 rwxp 00000000 00:00 0 ',
    '',
  ].join('\n');
  t.match(codeAround(maps, 0x7f10a123), { key: 'fd:01/4711', start: 0x7f10a000, offset: 0x1000 });
  t.equal(codeAround(maps, 0x7f109fff), undefined, 'not executed');
  t.equal(codeAround(maps, 0x7f10b000), undefined, 'data');
  t.equal(codeAround(maps, 0x7f20a010), undefined, 'no file');
  t.equal(codeAround(maps, 0x1000), undefined);
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 300 }), fc.nat(), (noise, address) => {
      codeAround(noise, address);
      return codeAround(`${maps}${noise}`, 0x7f10afff)?.key === 'fd:01/4711';
    }),
  );
});

t.test('the oldest work request is at least as old as is said', async (t) => {
  const step = fc.record({
    // Posts and completions between two looks, and how long that is.
    posted: fc.nat(20),
    completed: fc.nat(20),
    elapsed: fc.integer({ min: 1, max: 1_000 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
      const oldest = new OldestPost();
      const times: number[] = [];
      let completed = 0;
      let now = 0;
      for (const { posted, completed: done, elapsed } of steps) {
        for (let i = 1; i <= posted; i++) times.push(now + (elapsed * i) / (posted + 1));
        now += elapsed;
        completed = Math.min(times.length, completed + done);
        const outstanding = times.length - completed;
        const said = oldest.note({ posts: times.length, outstanding, cut: false, last: times.at(-1) ?? now });
        const truth = times[completed];
        if (truth === undefined) {
          if (said !== undefined) return false;
        } else if (said === undefined || said < truth || said > now) return false;
      }
      return true;
    }),
  );
  const one = new OldestPost();
  one.note({ posts: 10, outstanding: 0, cut: false, last: 1_000 });
  one.note({ posts: 14, outstanding: 4, cut: false, last: 2_000 });
  t.equal(one.note({ posts: 20, outstanding: 10, cut: false, last: 3_000 }), 2_000, 'the look behind it');
  t.equal(one.note({ posts: 20, outstanding: 6, cut: false, last: 3_000 }), 3_000, 'it was completed');
  t.equal(one.note({ posts: 20, outstanding: 30, cut: false, last: 3_000 }), undefined, 'from before');
  t.equal(
    one.note({ posts: 20, outstanding: 6, cut: true, last: 3_000 }),
    undefined,
    'some were not counted',
  );
  t.equal(one.note({ posts: 20, outstanding: -1, cut: false, last: 3_000 }), undefined, 'nobody knows');
  t.equal(one.note({ posts: 20, outstanding: 0, cut: false, last: 3_000 }), undefined);
});

t.test('budget: what was measured here counts', async (t) => {
  const budget = new VerbsBudget(0.01);
  t.equal(budget.price(), POST_NS);
  budget.measuredNs = 1_000;
  t.equal(budget.price(), 1_000);
  t.equal(budget.note(0, { post: 0 }), undefined);
  t.equal(budget.note(10_000, { post: 90_000 }), undefined, '9,000 a second, 0.9 %');
  t.ok(Math.abs(budget.used - 0.009) < 1e-9, `${budget.used}`);
  budget.stepped = true;
  t.equal(budget.price(), 1_000 + STEP_NS);
  t.equal(budget.note(20_000, { post: 180_000 }), 'post');
  t.same([...budget.off], ['post']);
});
