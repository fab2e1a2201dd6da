import t from 'tap';
import { decodeEvent, encodeEvent } from '../../src/events/codec.js';
import type { Event } from '../../src/events/event.js';
import { Places } from '../../src/probes/kmsg-places.js';
import { recognise } from '../../src/probes/kmsg-rules.js';
import { FOLLOW_UP, IMMEDIATE, type Immediate, RECOVERY_ACTIONS } from '../../src/xid/actions.js';
import { xid, XID_CODES, XID_ROWS } from '../../src/xid/catalogue.js';
import { LINK_DOWN, nvlinkAdvice } from '../../src/xid/nvlink5.js';
import { sxid } from '../../src/xid/sxid.js';
import { printed, says } from './driver.js';

/** Of NVIDIA's list: which codes there are, by what is to be done at once. */
const LISTED: Readonly<Partial<Record<Immediate, readonly number[]>>> = {
  'contact-support': [
    1, 2, 3, 4, 5, 6, 7, 9, 10, 12, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 26, 27, 28, 29, 30, 33, 34, 35,
    36, 42, 47, 49, 50, 51, 52, 53, 55, 56, 57, 58, 59, 61, 65, 73, 81, 87, 90, 91, 111, 112, 113, 114, 115,
    116, 117, 118, 122, 123, 124, 125, 138, 142,
  ],
  'restart-app': [
    8, 11, 13, 25, 31, 32, 39, 40, 41, 60, 68, 69, 70, 71, 72, 75, 76, 77, 80, 82, 83, 84, 85, 86, 88, 89, 94,
    96, 97, 98, 99, 100, 101, 102, 103, 104, 105, 126, 127, 128, 129, 130, 131, 132, 133, 134, 135, 139,
  ],
  ignore: [14, 37, 38, 43, 44, 63, 66, 67, 92, 93, 106, 107, 108, 121, 137, 141, 152, 153, 157, 160, 161],
  'reset-gpu': [46, 62, 64, 95, 109, 110, 119, 120, 136, 140, 143, 155, 156, 158],
  'read-link-unit': [144, 145, 146, 147, 148, 149, 150],
  'follow-other-xid': [45],
  'reset-or-drain': [48],
  'check-mechanicals': [54],
  'read-link-registers': [74],
  'update-software': [78],
  reboot: [79],
  'restart-vm': [151],
  'follow-recovery-action': [154],
  'reset-if-uvm': [159],
};
/** Listed without anything to be done. */
const LISTED_WITHOUT = [162, 163, 164, 165, 166, 167, 168, 169, 170, 171, 172];
const ALL = [...Object.values(LISTED).flat(), ...LISTED_WITHOUT].sort((a, b) => a - b);

t.test('172 codes, each once', async (t) => {
  t.equal(ALL.length, 172);
  t.strictSame(XID_CODES, ALL);
  t.equal(XID_ROWS, 172, 'none is in two tables');
});

t.test('what is to be done at once is what NVIDIA says', async (t) => {
  for (const [immediate, codes] of Object.entries(LISTED))
    for (const code of codes) t.equal(xid(code).immediate, immediate, `Xid ${code}`);
});

t.test('each has a name of its own and a sentence', async (t) => {
  const names = new Set<string>();
  const sentences = new Set<string>();
  for (const code of ALL) {
    const { name, means, immediate, followUp } = xid(code);
    t.match(name, /^[a-z0-9]+(-[a-z0-9]+)*$/, `Xid ${code}: name`);
    t.match(means, /^[A-Z][ -~]{20,200}\.$/, `Xid ${code}: sentence`);
    t.match(IMMEDIATE[immediate], /^[A-Z].*\.$/, `Xid ${code}: at once`);
    t.match(FOLLOW_UP[followUp], /^[A-Z].*\.$/, `Xid ${code}: then`);
    names.add(name);
    sentences.add(means);
  }
  t.equal(names.size, 172, 'names');
  t.equal(sentences.size, 172, 'sentences');
});

t.test('every action is asked for by something', async (t) => {
  const ber = nvlinkAdvice({ unit: 'NETIR_BER_EVENT', fatal: false, spreads: false, injected: false });
  const switches = [10003, 10004, 11004, 12020, 20012, 12028].map((code) => sxid(code, 'fatal'));
  const asked = [...ALL.map(xid), ...Object.values(LINK_DOWN), ber, ...switches];
  const used = new Set<string>(Object.values(RECOVERY_ACTIONS));
  for (const { immediate, followUp } of asked) used.add(immediate).add(followUp);
  for (const action of [...Object.keys(IMMEDIATE), ...Object.keys(FOLLOW_UP)]) t.ok(used.has(action), action);
});

t.test('symptoms, and who is to blame for the others', async (t) => {
  t.strictSame(
    ALL.filter((code) => xid(code).role === 'symptom'),
    [43, 45, 154, 159],
  );
  for (const code of [48, 79, 94, 95, 64, 74, 149]) t.equal(xid(code).class, 'hardware', `Xid ${code}`);
  for (const code of [13, 31, 11, 69]) t.equal(xid(code).class, 'application', `Xid ${code}`);
  for (const code of [119, 120, 109]) t.equal(xid(code).class, 'driver', `Xid ${code}`);
  for (const code of [45, 63, 106, 154, 162]) t.equal(xid(code).class, 'informational', `Xid ${code}`);
  for (const code of [1, 24, 61, 138]) t.equal(xid(code).class, 'unused', `Xid ${code}`);
});

t.test('a code that nobody knows has an answer, too', async (t) => {
  for (const code of [0, 173, 999, -1, Number.NaN])
    t.match(xid(code), {
      code,
      class: 'unknown',
      role: 'cause',
      immediate: 'follow-recovery-action',
      means: /not known/,
    });
});

t.test('a line of the kernel log for each: recognised, an event, and a meaning', async (t) => {
  const places = new Places({ sysDir: t.testdir(), procDir: t.testdir() });
  for (const code of ALL)
    for (const line of [
      { code, message: says(code), pid: 4242, comm: 'python3' },
      { code, message: says(code) },
      { code, message: says(code), old: true },
    ]) {
      const text = printed(line);
      const found = recognise({ text }, places);
      t.match(
        found,
        {
          type: 'error.xid',
          entity: 'gpu:0000:3b:00.0',
          attrs: { code, pci: '0000:3b:00.0', message: says(code).slice(0, 200) },
        },
        text,
      );
      if (found?.type !== 'error.xid') continue;
      t.equal(found.pid, line.pid, text);
      const event: Event = {
        ts: 1,
        value: 1,
        probe: 'kmsg',
        type: 'error.xid',
        entity: found.entity,
        attrs: found.attrs,
      };
      t.match(decodeEvent(encodeEvent(event)), { ok: true }, 'fits the catalogue of events');
      t.not(xid(found.attrs.code).class, 'unknown');
    }
});
