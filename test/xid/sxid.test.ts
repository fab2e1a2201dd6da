import t from 'tap';
import { gpuFault } from '../../src/probes/kmsg-rules-gpu.js';
import { FOLLOW_UP, IMMEDIATE } from '../../src/xid/actions.js';
import { sxid } from '../../src/xid/sxid.js';
import { sxidLine } from '../../src/xid/switch-line.js';
import { fc } from '../lib/property.js';

const C1 = { pci: '0000:c1:00.0', instance: 3 };

t.test('lines of NVSwitches', async (t) => {
  const rows: readonly (readonly [string, Record<string, unknown>])[] = [
    [
      'nvidia-nvswitch3: SXid (PCI:0000:c1:00.0): 28006, Non-fatal, Link 46 MC TS crumbstore MCTO (First)',
      {
        ...C1,
        code: 28006,
        severity: 'non-fatal',
        link: 46,
        message: 'Non-fatal, Link 46 MC TS crumbstore MCTO (First)',
      },
    ],
    [
      'nvidia-nvswitch3: SXid (PCI:0000:c1:00.0): 24007, Fatal, Link 28 sourcetrack timeout error (First)',
      { ...C1, code: 24007, severity: 'fatal', link: 28 },
    ],
    [
      'nvidia-nvswitch0: SXid (PCI:0000:06:00.0): 20009, Non-fatal, Link 04 RX Short Error Rate',
      { instance: 0, link: 4 },
    ],
    [
      'nvidia-nvswitch3: SXid (PCI:0000:c1:00.0): 19049, Correctable, Link 12 NCISOC HDR ECC LIMIT',
      { severity: 'correctable', link: 12 },
    ],
    [
      'nvidia-nvswitch0: SXid (PCI:0004:00:00.0): 26008, SOE Watchdog error',
      { pci: '0004:00:00.0', severity: 'unknown', code: 26008 },
    ],
    [
      'nvidia-nvswitch0: SXid (PCI:0004:00:00.0): 26006, SOE HALT data[0] = 0x               0',
      { code: 26006 },
    ],
    [
      'nvidia-nvswitch0: SXid (PCI:0000:c3:00.0): 10003, Fatal, unhandled interrupt in f(12)',
      { severity: 'fatal', code: 10003 },
    ],
    ['nvidia-nvswitch1: SXid (PCI:0000:06:00.0): 20009, Non-fatal, Li', { severity: 'non-fatal' }],
    ['nvidia-nvswitch1: SXid (PCI:0000:06:00.0): 20009, Non-fatal, Link', { severity: 'non-fatal' }],
  ];
  for (const [text, want] of rows) t.match(sxidLine(text), want, text);
  t.notOk(
    'link' in (sxidLine('nvidia-nvswitch1: SXid (PCI:0000:06:00.0): 20009, Non-fatal, Link 4') ?? {}),
    'a digit is cut off',
  );
  t.match(gpuFault(rows[0]?.[0] ?? ''), {
    type: 'error.sxid',
    entity: 'nvswitch:3',
    attrs: { code: 28006, link: 46, severity: 'non-fatal' },
  });
});

t.test('registers of a fault, cut lines and others are no faults', async (t) => {
  for (const text of [
    'nvidia-nvswitch0: SXid (PCI:0000:c3:00.0): 12033, Severity 1 Engine instance 00 Sub-engine instance 00',
    'nvidia-nvswitch0: SXid (PCI:0000:a9:00.0): 20034, Data {0x50610002, 0x10100030}',
    'nvidia-nvswitch0: SXid (PCI:0000:a9:00.0): 2003',
    'nvidia-nvswitch0: SXid (PCI:0000:a9:00.0): xyz, Fatal error',
    'nvidia-nvswitch0: SXid (invalid): 20034, some error',
    'nvidia-nvswitch0: SXid (PCI:0000:a9',
    'nvidia-nvswitch0: open (major=510)',
    'nvidia-nvswitch: Probing device 0000:a9:00.0',
  ])
    t.equal(sxidLine(text), undefined, text);
});

t.test('what they mean', async (t) => {
  t.match(sxid(24007, 'fatal'), {
    effect: 'fatal',
    immediate: 'reset-all',
    unit: 'the tracking of requests',
  });
  t.match(
    sxid(23010, 'non-fatal'),
    { effect: 'always-fatal', immediate: 'reboot' },
    'whatever the line says',
  );
  t.match(sxid(12028, 'non-fatal'), { immediate: 'restart-vm' });
  t.match(sxid(19049, 'non-fatal'), { effect: 'correctable', immediate: 'ignore', followUp: 'none' });
  t.match(sxid(10003, 'fatal'), { immediate: 'reset-all' });
  t.match(sxid(99999, 'unknown'), { unit: 'an unknown part', effect: 'unknown' });
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 99999 }),
      fc.constantFrom('correctable', 'non-fatal', 'fatal', 'unknown'),
      (code, severity) => {
        const { means, immediate, followUp } = sxid(code, severity);
        return (
          /^[A-Z].*\.$/.test(means) && IMMEDIATE[immediate] !== undefined && FOLLOW_UP[followUp] !== undefined
        );
      },
    ),
  );
});
