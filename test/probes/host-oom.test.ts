/** OOM kills: what the victim had, and whose limit it was. */
import t, { type Test } from 'tap';
import type { EventOf } from '../../src/events/event.js';
import { ProcessProbe } from '../../src/probes/process.js';
import { cgroupSkip, type Cgroup, makeCgroup } from '../lib/cgroup.js';
import { startWorkload } from '../lib/proc.js';
import { startProbe } from './lib/rig.js';

const MIB = 1 << 20;

/** "parent/leaf". */
const nameOf = (group: Cgroup): string => {
  const words = group.path.split('/').filter((word) => word !== '');
  return words.length === 1 ? `/${words[0]}` : words.slice(-2).join('/');
};

async function killIn(t: Test, group: Cgroup, mib = 256): Promise<EventOf<'process.oom_kill'>> {
  const rig = await startProbe(t, (c) => new ProcessProbe(c));
  const hog = await startWorkload(t, 'memory_hog', { mib }, { wrap: group.wrap });
  t.equal((await hog.exited).signal, 'SIGKILL');
  const kill = await rig.event('process.oom_kill', (e) => e.pid === hog.pid);
  t.equal(kill.attrs.cgroup, nameOf(group), 'the group of the victim');
  return kill;
}

t.test('its own group ran out', { skip: cgroupSkip('memory') }, async (t) => {
  const group = await makeCgroup(t, 'memory', 'own');
  group.limitMemory(32 * MIB);
  const { attrs } = await killIn(t, group);
  t.match(attrs, { limitBytes: 32 * MIB, limited: nameOf(group) });
  t.ok(
    (attrs.usageBytes ?? 0) > 31 * MIB && (attrs.usageBytes ?? 0) <= 32 * MIB,
    `${attrs.usageBytes} in use`,
  );
  // What a process has mapped of the cache is resident, and counted for whoever read it first.
  t.ok((attrs.rssBytes ?? 0) > 26 * MIB && (attrs.rssBytes ?? 0) < 38 * MIB, `${attrs.rssBytes} resident`);
});

t.test(
  'the group above ran out; its own has a limit that it is far from',
  { skip: cgroupSkip('memory') },
  async (t) => {
    const pod = await makeCgroup(t, 'memory', 'above');
    const group = pod.child('leaf').child('inner');
    pod.limitMemory(40 * MIB);
    group.limitMemory(200 * MIB);
    const { attrs } = await killIn(t, group);
    t.match(attrs, { limitBytes: 40 * MIB, limited: nameOf(pod) });
    t.ok((attrs.usageBytes ?? 0) > 39 * MIB, `${attrs.usageBytes} in use`);
  },
);

t.test('two groups with limits: the inner one ran out', { skip: cgroupSkip('memory') }, async (t) => {
  const pod = await makeCgroup(t, 'memory', 'two');
  const group = pod.child('inner');
  pod.limitMemory(200 * MIB);
  group.limitMemory(24 * MIB);
  const { attrs } = await killIn(t, group);
  t.match(attrs, { limitBytes: 24 * MIB, limited: nameOf(group) });
});
