/** A pass that fails is counted, told in the log, in /metrics and in `xctl doctor`, and ends nothing. */
import { join } from 'node:path';
import t from 'tap';
import { ProbeSet } from '../../src/agent/probe-set.js';
import { BootClock } from '../../src/kernel/clock.js';
import { HostProbe } from '../../src/probes/host.js';
import { Passes } from '../../src/probes/passes.js';
import { keptLog } from '../agent/fixtures.js';

t.test('passes are counted, failures too, and the log is not flooded', async (t) => {
  const { log, lines } = keptLog();
  const passes = new Passes('threads', log);
  t.equal(
    passes.run(() => undefined),
    true,
  );
  t.strictSame(passes.checks('waits'), []);
  for (let n = 1; n <= 5; n++) {
    const fail = (): never => {
      throw new Error(`EIO ${n}`);
    };
    t.equal(passes.run(fail), false);
  }
  t.match(passes, { passes: 6, failures: 5 });
  t.strictSame(passes.checks('waits'), [
    {
      status: 'degraded',
      name: 'probe waits/passes',
      detail: '5 of 6 passes over threads failed, the last: EIO 5',
    },
  ]);
  t.match(
    lines,
    [1, 2, 4].map((count) => ({ level: 'warn', msg: 'pass over threads failed', count })),
  );
  t.equal(lines.length, 3);
});

t.test("a probe's failing passes are in /metrics and xctl doctor", async (t) => {
  const line = 'avg10=0.00 avg60=0.00 avg300=0.00 total=0\n';
  const files = `some ${line}full ${line}`;
  const dir = t.testdir({ pressure: { cpu: files, io: files, memory: files } });
  const { log } = keptLog();
  let fails = true;
  const probe = new HostProbe(
    {
      kernel: { load: async () => Promise.reject(new Error('no BPF')) },
      poller: { on: () => undefined, drainAll: () => 0 },
      clock: BootClock.now(),
      sink: () => {
        if (fails) throw new Error('nobody takes it');
      },
      log,
      signal: new AbortController().signal,
    },
    { pressureDirectory: join(dir, 'pressure') },
  );
  const set = new ProbeSet(log);
  await set.start(probe, new AbortController().signal);
  t.teardown(() => set.stop());
  const told = { source: 'host', reason: 'pass' };
  t.strictSame([...set.lost()], [{ ...told, count: 1 }]);
  t.equal(probe.pass(true), false);
  t.strictSame([...set.lost()], [{ ...told, count: 2 }]);
  fails = false;
  t.equal(probe.pass(true), true, 'the next one goes well');
  t.strictSame([...set.lost()], [{ ...told, count: 2 }]);
  t.match(
    set.checks().find(({ name }) => name === 'probe host/passes'),
    { status: 'degraded', detail: '2 of 3 passes over the host failed, the last: nobody takes it' },
  );
});
