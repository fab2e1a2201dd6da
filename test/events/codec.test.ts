import assert from 'node:assert/strict';
import t from 'tap';
import { EVENT_TYPES } from '../../src/events/catalogue.js';
import {
  type Decoded,
  decodeEvent,
  decodeProbeLine,
  encodeEvent,
  REJECTIONS,
} from '../../src/events/codec.js';
import { printable } from '../../src/util/text.js';
import { event } from './arbitrary.js';
import { fc, runs } from '../lib/property.js';

const NOW = Date.UTC(2026, 10, 22, 12, 0, 0);

function reason(decoded: Decoded): string {
  return decoded.ok ? 'accepted' : decoded.reason;
}

/** A good line of a subprocess, with changes. */
function line(changes: Record<string, unknown> = {}): string {
  return JSON.stringify({
    ts: NOW,
    type: 'compute.step_time',
    entity: 'gpu:0',
    value: 1.5,
    attrs: { step: 7 },
    ...changes,
  });
}

t.test('every event survives encoding and decoding', async (t) => {
  const seen = new Set<string>();
  fc.assert(
    fc.property(event, (original) => {
      seen.add(original.type);
      const text = encodeEvent(original);
      assert.doesNotMatch(text, /\n/);
      const decoded = decodeEvent(text);
      if (!decoded.ok) throw new Error(`${decoded.reason}: ${text}`);
      assert.equal(encodeEvent(decoded.event), text);
      // JSON knows no -0.
      assert.deepStrictEqual(decoded.event, JSON.parse(JSON.stringify(original)));
    }),
    { numRuns: runs(1_000) },
  );
  t.same([...seen].sort(), [...EVENT_TYPES].sort(), 'of every type');
});

t.test('a recording may come from anybody', async (t) => {
  const good = { ts: NOW, type: 'wait.child', entity: 'pid:7', pid: 7, value: 3, probe: 'waits' };
  const attrs = { start: 1, tid: 7, comm: 'sh', since: NOW, runMs: 0, threads: 1, childPid: 8 };
  const cases: readonly [string, unknown][] = [
    ['accepted', { ...good, attrs }],
    ['accepted', { ...good, attrs: { ...attrs, laterVersion: 1 } }],
    ['attrs', { ...good, attrs: { ...attrs, childPid: undefined } }],
    ['attrs', { ...good, attrs: { ...attrs, childPid: '8' } }],
    ['attrs', { ...good, attrs: { ...attrs, op: 'fly' } }],
    ['attrs', { ...good, attrs: { ...attrs, start: -1 } }],
    ['attrs', { ...good, attrs: null }],
    ['attrs', { ...good }],
    ['probe', { ...good, attrs, probe: 'me' }],
    ['type', { ...good, attrs, type: 'wait' }],
    ['type', { ...good, attrs, type: 'constructor' }],
    ['ts', { ...good, attrs, ts: null }],
    ['ts', { ...good, attrs, ts: -1 }],
    ['accepted', { ...good, attrs, entity: 'node' }],
    ['entity', { ...good, attrs, type: 'storage.throughput', entity: 'sda' }],
    ['entity', { ...good, attrs, entity: 7 }],
    ['entity', { ...good, attrs, entity: `pid:${'9'.repeat(2000)}` }],
    ['pid', { ...good, attrs, pid: 2 ** 22 + 1 }],
    ['pid', { ...good, attrs, pid: 1.5 }],
    ['value', { ...good, attrs, value: '3' }],
    ['object', [1, 2]],
    ['object', null],
  ];
  for (const [want, raw] of cases)
    t.equal(reason(decodeEvent(JSON.stringify(raw))), want, JSON.stringify(raw));
  t.equal(
    reason(decodeEvent(JSON.stringify({ ...good, attrs }).replace(/"value":3/, '"value":1e999'))),
    'value',
  );
  t.equal(reason(decodeEvent('{"ts":')), 'json');
});

t.test('a type of a later version is kept as custom', async (t) => {
  const decoded = decodeEvent(
    JSON.stringify({
      ts: 1,
      type: 'storage.throughput',
      entity: 'block:sda',
      value: 2,
      attrs: {},
      probe: 'block',
    }),
  );
  t.match(decoded, { ok: true, event: { type: 'custom', customType: 'storage.throughput', probe: 'block' } });
});

t.test('what a subprocess says is custom, whatever it calls it', async (t) => {
  for (const type of [
    'compute.step_time',
    'process.exit',
    'transport.retransmit',
    'wait.tcp',
    'transport.drop',
  ]) {
    const decoded = decodeProbeLine(line({ type, probe: 'tcp' }), NOW);
    t.match(decoded, { ok: true, event: { type: 'custom', customType: type, probe: 'subprocess' } });
    if (!decoded.ok) continue;
    t.strictSame(decodeEvent(encodeEvent(decoded.event)), decoded, 'also after a recording');
  }
});

t.test('defaults of a subprocess line', async (t) => {
  t.strictSame(decodeProbeLine('{"type":"error.hw","pid":7}', NOW), {
    ok: true,
    event: {
      ts: NOW,
      type: 'custom',
      customType: 'error.hw',
      entity: 'pid:7',
      pid: 7,
      value: 0,
      attrs: {},
      probe: 'subprocess',
    },
  });
  t.match(decodeProbeLine('{"type":"error.hw","entity":"pid:7"}', NOW), { ok: true, event: { pid: 7 } });
  t.match(decodeProbeLine(line({ ts: '2026-11-22T11:59:59.250Z' }), NOW), {
    ok: true,
    event: { ts: NOW - 750 },
  });
  t.match(decodeProbeLine(line({ ts: '2026-11-22T12:59:59+01:00' }), NOW), {
    ok: true,
    event: { ts: NOW - 1000 },
  });
  t.match(
    decodeProbeLine(line({ ts: NOW + 500 }), NOW),
    { ok: true, event: { ts: NOW } },
    'never in the future',
  );
});

t.test('hostile subprocess lines', async (t) => {
  const nested = (depth: number): unknown => (depth === 0 ? 1 : { a: nested(depth - 1) });
  const cases: readonly [string, string][] = [
    ['json', 'garbage'],
    ['json', ''],
    ['object', '"text"'],
    ['type', line({ type: 'compute' })],
    ['type', line({ type: 'sales.revenue' })],
    ['type', line({ type: 'compute.\u001b[31m' })],
    ['type', line({ type: `compute.${'a'.repeat(200)}` })],
    ['type', line({ type: 7 })],
    ['ts', line({ ts: NOW / 1000 })],
    ['ts', line({ ts: NOW + 86_400_000 })],
    ['ts', line({ ts: NOW - 86_400_000 })],
    ['ts', line({ ts: 'yesterday' })],
    ['ts', line({ ts: '2026-13-45T99:00:00Z' })],
    ['entity', line({ entity: undefined })],
    ['entity', line({ entity: 'gpu' })],
    ['entity', line({ entity: 'gpu:\u001b[2J' })],
    ['entity', line({ entity: 'gpu:a\u202eb' })],
    ['entity', line({ entity: 'pid:007' })],
    ['entity', line({ entity: 'pid:0x7' })],
    ['entity', line({ entity: 'pid:self' })],
    ['entity', line({ entity: 'pid:99999999' })],
    ['pid', line({ pid: 0 })],
    ['pid', line({ pid: -1 })],
    ['pid', line({ pid: '7' })],
    ['pid', line({ entity: 'pid:7', pid: 8 })],
    ['value', line({ value: 'fast' })],
    ['value', line().replace('1.5', '1e999')],
    ['attrs', line({ attrs: [] })],
    ['attrs', line({ attrs: { deep: nested(9) } })],
    ['attrs', line({ attrs: { list: new Array(2000).fill(0) } })],
    ['attrs', line({ attrs: { text: 'x'.repeat(10_000) } })],
    ['attrs', line().replace('{"step":7}', '{"__proto__":{"polluted":true}}')],
    ['attrs', line().replace('{"step":7}', `{"a":${'['.repeat(30_000)}${']'.repeat(30_000)}}`)],
    ['accepted', line({ attrs: { deep: nested(7) } })],
  ];
  for (const [want, text] of cases) t.equal(reason(decodeProbeLine(text, NOW)), want, printable(text, 120));
});

t.test('no line makes it throw', async (t) => {
  const known = new Set<string>([...REJECTIONS, 'accepted']);
  fc.assert(fc.property(fc.string(), (text) => known.has(reason(decodeProbeLine(text, NOW)))));
  fc.assert(fc.property(fc.json(), (text) => known.has(reason(decodeEvent(text)))));
  fc.assert(
    fc.property(
      fc.record({
        ts: fc.anything(),
        type: fc.constantFrom('error.hw', 'wait.poll'),
        entity: fc.anything(),
        attrs: fc.jsonValue(),
      }),
      (raw) => {
        const text = JSON.stringify(raw, (_key, value) =>
          typeof value === 'bigint' ? String(value) : value,
        );
        return known.has(reason(decodeProbeLine(text, NOW))) && known.has(reason(decodeEvent(text)));
      },
    ),
  );
  t.pass();
});
