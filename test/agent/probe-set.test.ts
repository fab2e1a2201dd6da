import t from 'tap';
import { ProbeSet } from '../../src/agent/probe-set.js';
import type { Probe } from '../../src/probes/probe.js';
import type { Check } from '../../src/util/check.js';
import { keptLog } from './fixtures.js';

const NEVER = new AbortController().signal;

function probe(name: Probe['name'], status: Check['status'], start: () => Promise<void> = async () => {}) {
  const made = {
    name,
    stopped: false,
    start,
    stop: () => {
      made.stopped = true;
    },
    checks: () => [{ status, name: `probe ${name}`, detail: 'as it is' }],
  };
  return made;
}

t.test('one probe that cannot start takes no other down', async (t) => {
  const { log, lines } = keptLog();
  const set = new ProbeSet(log);
  const tcp = probe('tcp', 'failed', async () => {
    throw new Error('EPERM');
  });
  const waits = probe('waits', 'degraded');
  const programs = [probe('subprocess', 'ok'), probe('subprocess', 'failed')];
  for (const one of [tcp, waits, ...programs]) await set.start(one, NEVER);
  set.refuse('process', 'no BTF');
  const states = Object.fromEntries(set.states().map(({ probe: name, state, up }) => [name, [state, up]]));
  t.strictSame(states, {
    tcp: ['failed: EPERM', false],
    process: ['failed: no BTF', false],
    waits: ['degraded: as it is', true],
    'subprocess 1': ['attached', true],
    'subprocess 2': ['failed: as it is', false],
  });
  t.equal(set.checks().length, 5, 'each is in xctl doctor');
  t.match(lines, [{ level: 'error', probe: 'tcp', error: 'EPERM' }]);
  await set.stop();
  t.ok([tcp, waits, ...programs].every(({ stopped }) => stopped));
});

t.test('after the signal nothing is started', async (t) => {
  const set = new ProbeSet(keptLog().log);
  const ended = AbortSignal.abort();
  await set.start(
    probe('tcp', 'ok', async () => void t.fail('started')),
    ended,
  );
  t.strictSame(set.states(), []);
});

t.test('a probe that does not stop is named, and the others are stopped', async (t) => {
  const { log, lines } = keptLog();
  const set = new ProbeSet(log);
  const bad: Probe = {
    ...probe('tcp', 'ok'),
    stop: () => {
      throw new Error('stuck');
    },
  };
  const good = probe('waits', 'ok');
  await set.start(bad, NEVER);
  await set.start(good, NEVER);
  await set.stop();
  t.ok(good.stopped);
  t.match(lines, [{ level: 'warn', error: 'stuck' }]);
});
