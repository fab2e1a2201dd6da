import assert from 'node:assert/strict';
import t from 'tap';
import { gpuLine, type XidLine } from '../../src/xid/line.js';
import { pciAddress } from '../../src/xid/pci.js';
import { type Printed, printed, says } from './driver.js';
import { fc, runs } from '../lib/property.js';

const GPU = { kind: 'xid', pci: '0000:3b:00.0' } as const;
const UUID = 'GPU-c24840ec-8de1-83d5-b126-08000173ae32';

/** Lines of drivers from 295 to 595, as people posted them. */
const LINES: readonly (readonly [string, Record<string, unknown>])[] = [
  [
    'NVRM: Xid (PCI:0000:3b:00): 79, pid=1234, name=python, GPU has fallen off the bus.',
    { ...GPU, code: 79, pid: 1234, comm: 'python', message: 'GPU has fallen off the bus.' },
  ],
  [
    "NVRM: Xid (PCI:0000:3b:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus.",
    { ...GPU, code: 79, message: 'GPU has fallen off the bus.' },
  ],
  ['NVRM: Xid (PCI:0000:3b:00): 79, GPU has fallen off the bus.', { ...GPU, code: 79 }],
  [
    'NVRM: Xid (PCI:0000:3b:00): 45, pid=7, name=a b, Ch 00000010',
    { ...GPU, code: 45, comm: 'a b', message: 'Ch 00000010' },
  ],
  [
    'NVRM: Xid (PCI:0000:3b:00): 31, pid=8, name=<unknown>, channel 0x00000004. MMU Fault',
    { ...GPU, code: 31, pid: 8 },
  ],
  [
    'NVRM: Xid (0000:03:00): 14, Channel 00000001',
    { pci: '0000:03:00.0', code: 14, message: 'Channel 00000001' },
  ],
  ['NVRM: Xid (0003:00): 8, Channel 00000000', { pci: '0000:03:00.0', code: 8 }],
  ['NVRM: Xid (PCI:0001:00:00): 43, Ch 00000008', { pci: '0001:00:00.0', code: 43 }],
  ['NVRM: Xid (PCI:00000000:3B:00.0): 48, x', { ...GPU, code: 48 }],
  ['NVRM: Xid (PCI:10000:e1:00): 48, x', { pci: '10000:e1:00.0', code: 48 }],
  [
    'NVRM: Xid (PCI:0000:00:08.0): 145, RLW_REMAP Nonfatal XC1 i0 Link 10 (0x00000082 0x00000040)',
    { pci: '0000:00:08.0', code: 145 },
  ],
  [
    'NVRM: Xid (PCI:0000:3b:00 GPU-I:01 GPU-CI:02): 13, pid=9, name=x, Graphics Exception',
    { ...GPU, code: 13, mig: { gi: 1, ci: 2 }, pid: 9 },
  ],
  ['NVRM: Xid (PCI:0000:3b:00 GPU-I:11): 95, Uncontained', { ...GPU, code: 95, mig: { gi: 11 } }],
  [
    'NVRM: Xid (PCI:0000:3b:00): 45, pid=1818990, name=python3, Ch 00000001 caused by previous Xid 149',
    { ...GPU, code: 45, causedBy: 149, pid: 1818990 },
  ],
  [
    'NVRM: Xid (PCI:0000:3b:00): 154, GPU recovery action changed from 0x0 (None) to 0x2 (Node Reboot Required)',
    { ...GPU, code: 154, recovery: 'reboot' },
  ],
  [
    'NVRM: Xid (PCI:0000:3b:00): 154, GPU recovery action changed from 0x1 (GPU Reset Required) to 0x0 (None)',
    { ...GPU, code: 154, recovery: 'none' },
  ],
  [
    'NVRM: Xid (PCI:0000:3b:00): 154, GPU recovery action changed from 0x0 (None) to 0x4 (Drain and Reset)',
    { recovery: 'drain-and-reset' },
  ],
  [
    'NVRM: Xid (PCI:0000:3b:00): 154, GPU recovery action changed from 0x0 (None) to 0x9 (New)',
    { recovery: 'unknown' },
  ],
  [
    "NVRM: Xid (PCI:0000:3b:00): 13, pid='<unknown>', name=<unknown>, Graphics SM Warp Exception on (GPC 1, TPC 3, SM 0): Out Of Range Address",
    { ...GPU, code: 13, sm: { gpc: 1, tpc: 3, sm: 0 } },
  ],
  [
    'NVRM: Xid (PCI:0000:3b:00): 13, Graphics Exception on (GPC 0, TPC 7): WIDTH CT Violation',
    { sm: { gpc: 0, tpc: 7 } },
  ],
  ['NVRM: Xid (PCI:0000:3b:00): 46, ', { ...GPU, code: 46, message: '' }],
  ['NVRM: Xid (PCI:0000:3b:00): 999, of the future', { ...GPU, code: 999 }],
  ['NVRM: GPU 0000:18:00.0: GPU has fallen off the bus.', { kind: 'lost', pci: '0000:18:00.0' }],
  [
    'NVRM: The NVIDIA GPU 0000:18:00.0\nNVRM: (PCI ID: 10de:2330) installed in this system has\nNVRM: fallen off the bus and is not responding to commands.',
    { kind: 'lost', pci: '0000:18:00.0' },
  ],
  [`NVRM: GPU at PCI:0000:3b:00: ${UUID}`, { kind: 'uuid', pci: '0000:3b:00.0', uuid: UUID }],
  [`NVRM: GPU at PCI:0000:3B:00: ${UUID.toUpperCase()}`, { kind: 'uuid', pci: '0000:3b:00.0' }],
];

/** Not enough of a fault, or none. */
const NOTHING = [
  '',
  'NVRM: loading NVIDIA UNIX x86_64 Kernel Module  535.183.01',
  'NVRM: GPU Board Serial Number: 1650423013443',
  'NVRM: GPU 0000:09:00.0: rm_init_adapter failed, device minor number 0',
  'NVRM: GPU at PCI:0000:3b:00: GPU-c24840ec',
  'NVRM: Xid (PCI:0000:3b:00): 7',
  'NVRM: Xid (PCI:0000:3b:00): ',
  'NVRM: Xid (PCI:0000:3b:00',
  'NVRM: Xid (PCI:0000:3b',
  'NVRM: Xid : 32, pid=2280636',
  'NVRM: Xid (PCI:0000:66:00): abc, pid=2280636',
  'NVRM: Xid (PCI:0000:66:00): 0, x',
  'NVRM: Xid (PCI:0000:66:00): -1, x',
  'NVRM: Xid (PCI:0000:66:00): 1e3, x',
  'NVRM: Xid (PCI:0000:66:00): 123456, x',
  'NVRM: Xid (PCI:0000:66:20): 79, x',
  'NVRM: Xid (PCI:0000:166:00): 79, x',
  'NVRM: Xid (): 79, x',
  'x NVRM: Xid (PCI:0000:3b:00): 79, GPU has fallen off the bus.',
  'nvrm: xid (pci:0000:3b:00): 79, x',
  // A process with such a name, in lines that the kernel begins with one.
  'NVRM: Xid (1:0)[42]: segfault at 0 ip 0000 sp 0000 error 4 in x, 79, y',
  'NVRM: Xid (1:0): page allocation failure: order:0, mode:0xcc0',
];

t.test('every spelling', async (t) => {
  for (const [text, want] of LINES) t.match(gpuLine(text), want, text);
  for (const text of NOTHING) t.equal(gpuLine(text), undefined, text);
});

t.test('an unknown process is none', async (t) => {
  for (const process of [
    "pid='<unknown>', name=<unknown>",
    'pid=0, name=x',
    'pid=99999999, name=x',
    'pid=-1, name=x',
    'pid=, name=',
  ]) {
    const line = gpuLine(`NVRM: Xid (PCI:0000:3b:00): 45, ${process}, Ch 00000010`);
    t.match(line, { code: 45, message: 'Ch 00000010' }, process);
    t.notOk(line?.kind === 'xid' && (line.pid !== undefined || line.comm !== undefined), process);
  }
});

t.test('what may be cut off is not guessed', async (t) => {
  const causedBy = (text: string) =>
    (gpuLine(`NVRM: Xid (PCI:0000:3b:00): 45, Ch 1 caused by previous Xid ${text}`) as XidLine).causedBy;
  t.equal(causedBy('149'), 149);
  for (const cut of ['', '1', '9', '10', '14', 'x', '149 x']) t.equal(causedBy(cut), undefined, cut);
  const line = gpuLine('NVRM: Xid (PCI:0000:3b:00): 154, GPU recovery action changed from 0x0 (None) to 0x1');
  t.match(line, { code: 154 });
  t.notOk(line?.kind === 'xid' && line.recovery !== undefined);
});

const hex = (max: number) => fc.integer({ min: 0, max });

t.test('property: one address for every spelling of it', async (t) => {
  fc.assert(
    fc.property(
      hex(0xffffffff),
      hex(0xff),
      hex(0x1f),
      hex(7),
      hex(8),
      fc.boolean(),
      fc.boolean(),
      (domain, bus, device, fn, width, upper, prefix) => {
        const part = (value: number, digits: number) => value.toString(16).padStart(digits, '0');
        const want = `${part(domain, 4)}:${part(bus, 2)}:${part(device, 2)}`;
        const spelled = `${part(domain, width)}:${part(bus, 2)}:${part(device, 2)}`;
        const text = `${prefix ? 'PCI:' : ''}${upper ? spelled.toUpperCase() : spelled}`;
        assert.equal(pciAddress(text), `${want}.0`);
        assert.equal(pciAddress(`${text}.${fn}`), `${want}.${fn}`);
        assert.equal(pciAddress(want), pciAddress(`${want}.0`));
        assert.match(pciAddress(text) ?? '', /^[0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f]\.0$/);
        assert.equal(gpuLine(`NVRM: Xid (${text}): 79, x`)?.pci, `${want}.0`);
      },
    ),
    { numRuns: runs(500) },
  );
  for (const bad of [
    '',
    ':',
    'PCI:',
    'PCI:0000',
    '0000:00:00.8',
    '0000:00:00.',
    'g000:00:00',
    '0000:00:00:00:00',
    '123456789:00:00',
    ' 00:00',
    '00:00 ',
  ])
    t.equal(pciAddress(bad), undefined, bad);
  t.pass();
});

const anyPrinted: fc.Arbitrary<Printed> = fc
  .record(
    {
      code: fc.integer({ min: 1, max: 172 }),
      pid: fc.integer({ min: 1, max: 2 ** 22 }),
      comm: fc
        .string({ unit: fc.constantFrom(...'ab3:-_/() <>=.'), minLength: 1, maxLength: 15 })
        .filter((name) => name.trim() === name),
      gi: fc.nat(14),
      ci: fc.nat(7),
      old: fc.boolean(),
      causedBy: fc.constantFrom(13, 31, 48, 79, 145, 149),
    },
    { requiredKeys: ['code'] },
  )
  .map((line) => ({ ...line, message: says(line.code) }));

t.test('property: what the driver printed is what is read', async (t) => {
  fc.assert(
    fc.property(anyPrinted, (line) => {
      const read = gpuLine(printed(line));
      assert.ok(read?.kind === 'xid');
      assert.equal(read.code, line.code);
      assert.equal(read.pid, line.pid);
      if (line.pid !== undefined)
        assert.equal(read.comm, line.comm === '<unknown>' ? undefined : (line.comm ?? 'python3'));
      assert.equal(read.causedBy, line.causedBy);
      assert.equal(read.mig?.gi, line.gi);
      assert.ok(read.message.startsWith(says(line.code)));
    }),
    { numRuns: runs(1_000) },
  );
  t.pass();
});

t.test('property: a line cut anywhere says the same or nothing, never something else', async (t) => {
  fc.assert(
    fc.property(anyPrinted, (line) => {
      const text = printed(line);
      const whole = gpuLine(text);
      assert.ok(whole?.kind === 'xid');
      for (let cut = 0; cut <= text.length; cut++) {
        const part = gpuLine(text.slice(0, cut));
        if (part === undefined) continue;
        assert.ok(part.kind === 'xid');
        for (const key of ['pci', 'code', 'pid', 'comm', 'recovery', 'causedBy'] as const)
          if (part[key] !== undefined) assert.equal(part[key], whole[key], `${key} of ${text.slice(0, cut)}`);
        if (part.mig !== undefined) assert.deepEqual(part.mig, whole.mig);
        if (part.sm !== undefined) assert.deepEqual(part.sm, whole.sm);
        for (const key of ['unit', 'fatal', 'link', 'status', 'reason'] as const)
          if (part.nvlink?.[key] !== undefined) assert.equal(part.nvlink[key], whole.nvlink?.[key]);
      }
    }),
    { numRuns: runs(150) },
  );
  t.pass();
});

t.test('hostile text: no throw, and it takes no time', async (t) => {
  const pieces = fc.constantFrom(
    ...LINES.flatMap(([text]) => text.split(/(?<=[ :(,=])/)),
    '): ',
    ', ',
    'pid=',
    'name=',
    '(GPC 1',
    ' to 0x',
    '\u001b[2J',
    '\n',
    '9',
  );
  const hostile = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 1024 }),
    fc.array(pieces, { maxLength: 200 }).map((parts) => parts.join('')),
    fc.array(pieces, { maxLength: 200 }).map((parts) => `NVRM: Xid (PCI:0000:3b:00): 149, ${parts.join('')}`),
    fc
      .tuple(fc.constantFrom(...LINES.map(([text]) => text)), pieces, fc.nat(120))
      .map(([text, piece, at]) => `${text.slice(0, at)}${piece.repeat(1024)}`),
  );
  let worstMs = 0;
  fc.assert(
    fc.property(hostile, (text) => {
      let leastMs = Number.POSITIVE_INFINITY;
      for (let i = 0; i < 5 && leastMs > 0.5; i++) {
        const started = performance.now();
        const line = gpuLine(text);
        leastMs = Math.min(leastMs, performance.now() - started);
        if (line?.kind === 'xid') assert.ok(Number.isInteger(line.code) && (line.comm?.length ?? 0) <= 100);
      }
      worstMs = Math.max(worstMs, leastMs);
    }),
    { numRuns: runs(3_000) },
  );
  t.ok(worstMs < 10, `${worstMs.toFixed(2)} ms for the slowest`);
});
