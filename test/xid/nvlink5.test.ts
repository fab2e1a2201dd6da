import t from 'tap';
import { LINK_DOWN, nvlinkAdvice, nvlinkFault } from '../../src/xid/nvlink5.js';

const NETIR = '0x00000000 0x00000000 0x00000000 0x00000000 0x00000000';

t.test('unit, severity, link and status, in every form', async (t) => {
  const rows: readonly (readonly [string, Record<string, unknown>])[] = [
    [
      `NETIR_LINK_EVT Fatal XC0 i0 Link 08 (0x004505c6 ${NETIR})`,
      { unit: 'NETIR_LINK_EVT', fatal: true, link: 8, status: 0, reason: 4, injected: false, spreads: false },
    ],
    [`NETIR_LINK_EVT  Fatal   XC0 i0 Link 09 (0x025525c6 ${NETIR})`, { link: 9, reason: 37 }],
    [
      'RLW_RXPIPE Nonfatal XC0 i0 Link 13 (0x0409a0c2 0x00000008 0x00000001)',
      { unit: 'RLW_RXPIPE', fatal: false, link: 13, status: 8 },
    ],
    ['RLW_SRC_TRACK Nonfatal XC1 i1 Link 12 (0x040988e2 0x00000008)', { spreads: true, injected: true }],
    [
      'TLW_RX/TLW_RX_PIPE0 Fatal XC0 i0 Link 00 (0x0000000a 0x00000004)',
      { unit: 'TLW_RX_PIPE0', fatal: true, link: 0, status: 4 },
    ],
    [
      'NETIR_LINK_EVT Fatal XC 1 i 2 Link 01 [0x0000000a]',
      { fatal: true, spreads: true, injected: true, link: 1, reason: 0 },
    ],
    ['TREX_ERR Nonfatal XC 00 i 00 Link 02 (0x00000005)', { spreads: false, injected: false, link: 2 }],
    [
      'MSE Degraded Fatal XC0 i0 Link 03 (0x00000000 0xffffffff)',
      { unit: 'MSE Degraded', status: 0xffffffff },
    ],
    ['NVLPW_CTRL Fatal XC0 i0 Link 05', { unit: 'NVLPW_CTRL', link: 5 }],
  ];
  for (const [text, want] of rows) t.match(nvlinkFault(text), want, text);
});

t.test('no link, and no words', async (t) => {
  const fault = nvlinkFault(`NETIR Fatal XC0 i0 Link -1 (0x000fe406 ${NETIR})`);
  t.match(fault, { unit: 'NETIR', fatal: true, status: 0 });
  t.notOk(fault !== undefined && ('link' in fault || 'reason' in fault));
  for (const text of [
    '',
    'driver-specific detail',
    'Fatal XC0 i0',
    'a b c d Fatal',
    'RLW\u001b[2J Fatal XC0',
    'NETIR_LINK_EVT',
    'NETIR_LINK_EVT Fat',
  ])
    t.equal(nvlinkFault(text), undefined, text);
});

t.test('a cut line has no half numbers', async (t) => {
  t.notOk('link' in (nvlinkFault('RLW_REMAP Fatal XC0 i0 Link 1') ?? {}));
  t.notOk('status' in (nvlinkFault('RLW_REMAP Fatal XC0 i0 Link 10 (0x00000082 0x0000004') ?? {}));
});

t.test('what to do, as NVIDIA decodes it', async (t) => {
  const rows: readonly (readonly [string, string, string])[] = [
    ['SAW_MVB Nonfatal XC0 i0 Link 00 (0x00000001 0x00000001)', 'ignore', 'contact-support'],
    ['SAW_MVB Fatal XC0 i0 Link 00 (0x00000001 0x00000002)', 'reset-gpu', 'contact-support'],
    ['SAW_MVB Nonfatal XC0 i0 Link 00 (0x00000001 0x00000004)', 'ignore', 'none'],
    [
      'RLW_REMAP Nonfatal XC0 i0 Link 00 (0x00000004 0x00000001)',
      'follow-recovery-action',
      'contact-support',
    ],
    [
      'RLW_REMAP Nonfatal XC0 i0 Link 00 (0x00000004 0x00000020)',
      'follow-recovery-action',
      'report-if-alone',
    ],
    ['RLW_REMAP Fatal XC0 i0 Link 00 (0x00000004 0x00000040)', 'reset-gpu', 'contact-support'],
    ['RLW_REMAP Nonfatal XC0 i0 Link 00 (0x00000004 0x00000100)', 'ignore', 'none'],
    ['RLW_REMAP Nonfatal XC0 i0 Link 00 (0x00000004 0x80000000)', 'ignore', 'contact-support'],
    ['RLW_SRC_TRACK Nonfatal XC1 i0 Link 12 (0x040988e2 0x00000008)', 'follow-recovery-action', 'none'],
    ['RLW_TAGSTATE Nonfatal XC0 i0 Link 00 (0x00000008 0x00010000)', 'ignore', 'none'],
    ['TLW_TX_PIPE1 Nonfatal XC0 i0 Link 00 (0x0000000d 0x00000002)', 'ignore', 'contact-support'],
    ['NETIR_BER_EVENT Nonfatal XC0 i0 Link 03 (0x00086226 0x00000001)', 'ignore', 'check-signal-and-cables'],
    ['NETIR_MFDE_EVENT Fatal XC0 i0 Link 00 (0x00000014 0x00000001)', 'reset-gpu', 'contact-support'],
    ['NETIR_MFDE_EVENT Nonfatal XC0 i0 Link 00 (0x00000014 0x00000003)', 'ignore', 'none'],
    ['NETIR_INT Fatal XC0 i0 Link 00 (0x00000018 0x00000000)', 'reset-gpu', 'report-if-alone'],
    ['NETIR_LINK_DOWN Fatal XC0 i0 Link 00 (0x00000011 0x00000000)', 'reset-gpu', 'report-if-alone'],
    ['NETIR_LINK_EVT Fatal XC0 i0 Link 08 (0x004505c6 0x00000000)', 'reset-gpu', 'check-signal'],
    ['NETIR_LINK_EVT Fatal XC0 i0 Link 00 (0x025001c6 0x00000000)', 'reset-gpu', 'check-peer'],
    ['NETIR_LINK_EVT Fatal XC0 i0 Link 00 (0x026001c6 0x00000000)', 'ignore', 'check-who-did-it'],
    ['NETIR_LINK_EVT Fatal XC0 i0 Link 00 (0x028001c6 0x00000000)', 'ignore', 'check-host'],
    ['NETIR_LINK_EVT Fatal XC0 i0 Link 00 (0x03f001c6 0x00000000)', 'reset-gpu', 'check-signal'],
    ['MSE_WATCHDOG Fatal XC0 i0 Link -1 (0x00000000 0x00000000)', 'reset-gpu', 'contact-support'],
    ['RLW_CTRL Nonfatal XC0 i0 Link 00', 'ignore', 'contact-support'],
  ];
  for (const [text, immediate, followUp] of rows) {
    const fault = nvlinkFault(text);
    t.strictSame(fault === undefined ? 'nothing' : nvlinkAdvice(fault), { immediate, followUp }, text);
  }
  for (const { says } of Object.values(LINK_DOWN)) t.match(says, /^[a-z][ -~]+[a-z]$/);
});
