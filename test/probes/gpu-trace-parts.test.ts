/** Parts of probe `gpu-trace` that need no kernel: memory maps and the budget. */
import t from 'tap';
import { COST_NS, STEP_NS, TraceBudget } from '../../src/probes/gpu-trace-budget.js';
import { mappedLibraries } from '../../src/probes/gpu-trace-maps.js';
import { entryPoint } from '../../src/probes/uprobe-entry.js';
import { fc } from '../lib/property.js';

const NCCL = '7f10a000-7f10b000 r-xp 00001000 fd:01 4711                       /opt/conda/lib/libnccl.so.2';

t.test('libraries in a memory map', async (t) => {
  const maps = [
    '55d0a000-55d0b000 r--p 00000000 fd:01 12 /usr/bin/python3.11',
    '7f109000-7f10a000 r--p 00000000 fd:01 4711                       /opt/conda/lib/libnccl.so.2',
    NCCL,
    '7f20a000-7f20b000 r-xp 00001000 00:2f 99 /usr/lib/x86_64-linux-gnu/libcuda.so.550.90.07 (deleted)',
    '7f30a000-7f30b000 r-xp 00001000 fd:01 13 /usr/lib/libcudart.so.12',
    '7f31a000-7f31b000 r-xp 00001000 fd:01 14 /usr/lib/libnccl.so.2.bak/other.so',
    '7f32a000-7f32b000 rw-p 00000000 00:00 0 ',
    '',
  ].join('\n');
  t.same(mappedLibraries(maps), [
    {
      library: 'libnccl',
      key: 'fd:01/4711',
      range: '7f10a000-7f10b000',
      path: '/opt/conda/lib/libnccl.so.2',
    },
    {
      library: 'libcuda',
      key: '00:2f/99',
      range: '7f20a000-7f20b000',
      path: '/usr/lib/x86_64-linux-gnu/libcuda.so.550.90.07 (deleted)',
    },
  ]);
  t.same(mappedLibraries(`${NCCL}\n${NCCL}`).length, 1, 'each file once');
  const [hostile] = mappedLibraries(
    '7f10a000-7f10b000 r-xp 00001000 fd:01 4711 /tmp/\u001b[2J\u202e/libnccl.so.2\n',
  );
  t.equal(hostile?.path, '/tmp/\\x1b[2J\\u202e/libnccl.so.2');
  const crowd = Array.from({ length: 99 }, (_, i) => NCCL.replace('4711', `${4711 + i}`)).join('\n');
  t.ok(mappedLibraries(crowd).length <= 8, 'bounded');
  t.ok(mappedLibraries(`${'/libnccl.so'.repeat(20_000)}\n`).length === 0, 'one long line');
});

t.test('any text is a memory map', async (t) => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (noise) => {
      const found = mappedLibraries(`${noise}\n${NCCL}\n${noise}`);
      return found.some(({ key }) => key === 'fd:01/4711');
    }),
  );
  t.pass();
});

/** Calls a second, for so many seconds; what was taken off. */
function spend(
  budget: TraceBudget,
  from: number,
  seconds: number,
  rates: { ask?: number; enqueue: number; sync: number },
) {
  const off: string[] = [];
  for (let s = 0; s <= seconds; s++) {
    const { ask = 0, enqueue, sync } = rates;
    const over = budget.note((from + s) * 1_000, {
      comm: 0,
      ask: ask * s,
      enqueue: enqueue * s,
      sync: sync * s,
    });
    if (over !== undefined) off.push(over);
  }
  return off;
}

t.test('where to break at the beginning of a function', async (t) => {
  const at = (bytes: readonly number[], arch = 'x64') => entryPoint(0x100, Buffer.from(bytes), arch);
  t.same(at([0x55, 0x48, 0x89, 0xe5]), { offset: 0x100, stepped: false }, 'push %rbp');
  t.same(at([0x41, 0x57, 0x41, 0x56]), { offset: 0x100, stepped: false }, 'push %r15');
  t.same(at([0xf3, 0x0f, 0x1e, 0xfa, 0x55, 0x48]), { offset: 0x104, stepped: false }, 'endbr64, push %rbp');
  t.same(at([0xf3, 0x0f, 0x1e, 0xfa, 0x48, 0x83]), { offset: 0x104, stepped: true }, 'endbr64, sub');
  t.same(at([0x41, 0x8b, 0x49, 0x08]), { offset: 0x100, stepped: true }, 'mov');
  t.same(at([]), { offset: 0x100, stepped: true }, 'the end of the file');
  t.same(at([0x55], 'arm64'), { offset: 0x100, stepped: true });
});

t.test('budget', async (t) => {
  const affordable = (0.004 * 1e9) / COST_NS.enqueue;
  const cheap = new TraceBudget();
  t.same(spend(cheap, 0, 60, { enqueue: affordable, sync: 0 }), []);
  t.ok(Math.abs(cheap.used - 0.004) < 1e-6, `${cheap.used}`);
  const dear = new TraceBudget();
  t.same(spend(dear, 0, 12, { enqueue: affordable * 2, sync: 10 }), ['enqueue'], 'enqueues go first');
  t.same([...dear.off], ['enqueue']);
  t.same(
    spend(dear, 100, 40, { enqueue: 0, sync: 100_000 }),
    ['sync'],
    'then waits, then there is nothing left',
  );
  const asked = new TraceBudget();
  const all = { ask: affordable / 2, enqueue: affordable * 2, sync: 0 };
  t.same(spend(asked, 0, 30, all), ['ask', 'enqueue'], 'what can best be done without goes before');
  const seldom = new TraceBudget();
  t.same(spend(seldom, 0, 12, { ...all, ask: 1 }), ['enqueue'], 'unless it costs next to nothing');
  const burst = new TraceBudget();
  t.equal(burst.note(0, { comm: 0, ask: 0, enqueue: 0, sync: 0 }), undefined);
  t.equal(burst.note(1_000, { comm: 0, ask: 0, enqueue: 20_000, sync: 0 }), undefined, 'a burst is no load');
  t.equal(burst.note(20_000, { comm: 0, ask: 0, enqueue: 20_000, sync: 0 }), undefined);
  const stepped = new TraceBudget();
  stepped.note(0, { comm: 0, ask: 0, enqueue: 0, sync: 0 });
  stepped.note(10_000, { comm: 0, ask: 0, enqueue: 10, sync: 0 }, new Set(['enqueue']));
  t.equal(stepped.price('enqueue'), COST_NS.enqueue + STEP_NS);
  t.ok(Math.abs(stepped.used - stepped.price('enqueue') / 1e9) < 1e-12);
});
