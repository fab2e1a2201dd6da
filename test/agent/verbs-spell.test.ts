/** Posts are looked at for some seconds on request: one at a time, bounded, and not once it was too dear. */
import t from 'tap';
import { VerbsSpell, type VerbsTrace } from '../../src/agent/verbs-spell.js';
import type { Check } from '../../src/util/check.js';
import { RefusedError, UsageError } from '../../src/util/errors.js';
import { createLog } from '../../src/util/log.js';
import { until } from '../lib/until.js';

class FakeTrace implements VerbsTrace {
  readonly name = 'rdma-trace';
  overBudget = false;
  stopped = 0;
  summary: Check = { status: 'ok', name: 'probe rdma-trace', detail: '1 devices' };

  async start(): Promise<void> {}
  stop(): void {
    this.stopped++;
  }
  checks(): readonly Check[] {
    return [this.summary];
  }
  heed(): void {}
  pass(): void {}
}

function rig(change: (probe: FakeTrace) => void = () => {}): { spell: VerbsSpell; made: FakeTrace[] } {
  const made: FakeTrace[] = [];
  const make = (): FakeTrace => {
    const probe = new FakeTrace();
    change(probe);
    made.push(probe);
    return probe;
  };
  return {
    spell: new VerbsSpell(
      make,
      createLog('error', () => {}),
    ),
    made,
  };
}

t.test('one spell, and the next when it is over', async (t) => {
  const { spell, made } = rig();
  t.same(await spell.begin(1), { state: 'begun', seconds: 1 });
  t.equal(spell.probe, made[0]);
  await t.rejects(spell.begin(1), RefusedError, 'one at a time');
  await until(() => spell.probe === undefined, { timeoutMs: 10_000, what: 'its end' });
  t.equal(made[0]?.stopped, 1);
  await spell.begin(30);
  t.equal(made.length, 2);
  await spell.stop();
  t.equal(made[1]?.stopped, 1, 'the agent ends before it does');
  t.equal(spell.probe, undefined);
  await t.rejects(spell.begin(1), RefusedError);
});

t.test('bounded', async (t) => {
  const { spell, made } = rig();
  for (const seconds of [0, -1, 31, 1.5, Number.NaN]) await t.rejects(spell.begin(seconds), UsageError);
  t.equal(made.length, 0);
});

t.test('two that ask at once', async (t) => {
  const { spell } = rig();
  const both = await Promise.allSettled([spell.begin(5), spell.begin(5)]);
  t.same(both.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
  await spell.stop();
});

t.test('too dear once: not again', async (t) => {
  const { spell, made } = rig();
  await spell.begin(5);
  for (const probe of made) probe.overBudget = true;
  await spell.end();
  await t.rejects(spell.begin(5), /has cost more than it may/);
  t.equal(made.length, 1);
});

t.test('what cannot be looked at is refused, and put away', async (t) => {
  const { spell, made } = rig((probe) => {
    probe.summary = { status: 'off', name: 'probe rdma-trace', detail: 'no RDMA device' };
  });
  await t.rejects(spell.begin(5), /no RDMA device/);
  t.equal(made[0]?.stopped, 1);
  t.equal(spell.probe, undefined);
  await t.rejects(spell.begin(5), /no RDMA device/, 'asked again it looks again');
  t.equal(made.length, 2);
});
