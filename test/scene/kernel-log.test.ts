/** What the kernel log adds: to the right process and the right wait, and to no other. */
import t from 'tap';
import type { EventOf } from '../../src/events/event.js';
import type { WhyAnswer } from '../../src/scene/answer.js';
import { flow, Story, stuck } from './build.js';
import { table } from './table.js';
import { flaws } from './well-formed.js';
import { fc } from '../lib/property.js';

const REQUEST = { sector: 8, sizeBytes: 4_096, ageMs: 9_000, submitter: {} } as const;

/** A line that came `agoMs` ago. */
function past(s: Story, agoMs: number, tell: (s: Story) => Story): Story {
  s.now -= agoMs;
  tell(s);
  return s.later(agoMs);
}

function hung(s: Story, tid: number, seconds = 122): Story {
  const message = `INFO: task p${tid}:${tid} blocked for more than ${seconds} seconds.`;
  return s.say('error.kernel', `pid:${tid}`, 1, { class: 'hung-task', message, seconds }, 'kmsg', tid);
}

function lockup(s: Story, cpu: number, tid: number, seconds = 22): Story {
  const message = `watchdog: BUG: soft lockup - CPU#${cpu} stuck for ${seconds}s! [p:${tid}]`;
  return s.say('error.kernel', `cpu:${cpu}`, 1, { class: 'soft-lockup', message, seconds }, 'kmsg', tid);
}

function stall(s: Story, cpu: number, kind: 'rcu-stall' | 'hard-lockup' = 'rcu-stall'): Story {
  return s.say('error.kernel', `cpu:${cpu}`, 1, { class: kind, message: `stall on ${cpu}` }, 'kmsg');
}

function link(s: Story, way: 'down' | 'up', entity = 'net:eth0'): Story {
  return s.say(`topo.link_${way}`, entity, 1, { message: `igb 0000:3b:00.0 eth0: Link is ${way}` }, 'kmsg');
}

function hardware(
  s: Story,
  entity: string,
  about: readonly string[],
  more: Partial<EventOf<'error.hw'>['attrs']> = {},
): Story {
  const attrs = {
    class: 'aer',
    severity: 'uncorrected',
    message: `broken: ${entity}`,
    about,
    ...more,
  } as const;
  return s.say('error.hw', entity, 1, attrs, 'kmsg');
}

function runsOn(s: Story, pid: number, cpu: number, forMs: number): Story {
  return s.wait('wait.run', pid, `pid:${pid}`, { cpu, cpus: 2 }, { forMs });
}

function answerOf(tell: (s: Story) => unknown, pid = 10): WhyAnswer {
  const s = new Story();
  tell(s);
  const answer = s.why(pid);
  if (answer === undefined) throw new Error('no answer');
  t.same(flaws(answer), [], 'well-formed');
  return answer;
}

/** Its facts from the log, as `type entity`. */
function heard(tell: (s: Story) => unknown, pid = 10): readonly string[] {
  return answerOf(tell, pid)
    .evidence.filter(({ probe }) => probe === 'kmsg')
    .map(({ type, entity }) => `${type} ${entity}`);
}

table([
  {
    name: 'a hung task of which nothing else is known: the kernel is the ground',
    tell: (s) => past(s.seen(10), 8_000, (p) => hung(p, 10)).other(10, 'the kernel', { forMs: 130_000 }),
    ask: 10,
    expect: {
      verdict: 'symptom-only',
      scene: 'ProcessBlocked/HungTask',
      summary:
        /waits in the kernel for 2 min 10 s, and no signal can end it; the kernel calls it a hung task/,
    },
  },
  {
    name: 'the same wait without the kernel’s word',
    tell: (s) => s.seen(10).other(10, 'the kernel', { forMs: 130_000 }),
    ask: 10,
    expect: { verdict: 'unknown' },
  },
  {
    name: 'a line about an earlier thread of that number says nothing of this one',
    tell: (s) => past(s.seen(10), 60_000, (p) => hung(p, 10)).other(10, 'the kernel', { forMs: 30_000 }),
    ask: 10,
    expect: { verdict: 'unknown' },
  },
  {
    name: 'a soft lockup names its thread',
    tell: (s) => past(runsOn(s.seen(10), 10, 3, 40_000), 5_000, (p) => lockup(p, 3, 10, 35)),
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: 'ProcessBlocked/KernelLockup',
      root: 'pid:10',
      confidence: 0.9,
      summary:
        /it has run in the kernel for 40\.0 s without giving back CPU 3 \(soft lockup, by the kernel log\)/,
    },
  },
  {
    name: 'who waits for a locked up process hears of it',
    tell: (s) =>
      past(runsOn(s.seen(10).seen(20), 20, 3, 40_000), 5_000, (p) => lockup(p, 3, 20, 35))
        .reads(10, 7)
        .holders('pipe:7', 20),
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: 'ProcessBlocked/KernelLockup',
      root: 'pid:20',
      chain: ['pid:10', 'pipe:7', 'pid:20'],
    },
  },
  {
    name: 'it was switched away from since: not locked up any more',
    tell: (s) => past(s.seen(10), 5_000, (p) => lockup(p, 3, 10, 35)).runs(10, { forMs: 2_000 }),
    ask: 10,
    expect: { verdict: 'healthy' },
  },
  {
    name: 'a lockup that the kernel has not told of again is over',
    tell: (s) => past(runsOn(s.seen(10), 10, 3, 200_000), 90_000, (p) => lockup(p, 3, 10, 35)),
    ask: 10,
    expect: { verdict: 'healthy' },
  },
  {
    name: 'a stall names the CPU: it is who has run there since before',
    tell: (s) =>
      past(runsOn(runsOn(s.seen(10).seen(20), 10, 3, 40_000), 20, 2, 40_000), 5_000, (p) => stall(p, 3)),
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: 'ProcessBlocked/KernelLockup',
      root: 'pid:10',
      confidence: 0.8,
      summary: /CPU 3 \(rcu stall/,
    },
  },
  {
    name: 'who runs on another CPU is not meant',
    tell: (s) =>
      past(runsOn(runsOn(s.seen(10).seen(20), 10, 3, 40_000), 20, 2, 40_000), 5_000, (p) =>
        stall(p, 3, 'hard-lockup'),
      ),
    ask: 20,
    expect: { verdict: 'healthy' },
  },
  {
    name: 'a link that went down just before: said, with its doubt, and no surer for it',
    tell: (s) =>
      past(s.seen(10), 12_000, (p) => link(p, 'down')).receives(10, stuck(flow(1), s.now - 10_000)),
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: 'NetworkStall/PathDown',
      root: 'flow:10.0.0.1:40001-10.0.0.2:29500',
      confidence: 0.95,
      summary: /unacked; net:eth0 went down 2\.0 s before \(whether this connection uses it is not known\)$/,
    },
  },
  {
    name: 'killed for memory that failed, the line after the end',
    tell: (s) =>
      hardware(s.seen(10).exited(10, { signal: 'SIGBUS' }).later(700), 'node', ['pid:10'], { class: 'mce' }),
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: 'ProcessCrash/MemoryFailure',
      root: 'pid:10',
      summary: /^killed by SIGBUS \(signal 7\): memory that it used has failed in hardware$/,
    },
  },
  {
    name: 'memory that failed it long ago did not end it',
    tell: (s) =>
      hardware(s.seen(10), 'node', ['pid:10'], { class: 'mce' })
        .later(60_000)
        .exited(10, { signal: 'SIGKILL' }),
    ask: 10,
    expect: { verdict: 'cause-found', scene: 'ProcessCrash/Signal', root: 'pid:10' },
  },
  {
    name: 'the OOM killer by the log alone',
    tell: (s) =>
      s
        .seen(10)
        .exited(10, { signal: 'SIGKILL' })
        .later(700)
        .say(
          'error.kernel',
          'pid:10',
          1,
          { class: 'oom', message: 'Out of memory', comm: 'p10' },
          'kmsg',
          10,
        ),
    ask: 10,
    expect: { verdict: 'cause-found', scene: 'ProcessCrash/HostOom', root: 'pid:10' },
  },
]);

t.test('a line that is older than a process is not about it', async (t) => {
  const killed = (agoMs: number): WhyAnswer =>
    answerOf((s) => {
      s.forked(10).later(10).exited(10, { signal: 'SIGKILL' }).later(700);
      const { now } = s;
      s.now -= agoMs;
      hardware(s, 'node', ['pid:10'], { class: 'mce' });
      s.now = now;
      s.later(1);
      s.pass();
    });
  t.equal(killed(0).subScene, 'MemoryFailure');
  t.equal(killed(5_000).subScene, 'Signal', 'an earlier process had that number');
});

t.test('a hung task is evidence beside its wait on the device', async (t) => {
  const answer = answerOf((s) =>
    past(s.seen(10), 5_000, (p) => hung(p, 11, 6))
      .say('storage.device', 'block:dm-0', 1e9, { dev: '252:0', kind: 'dm', under: [], suspended: true })
      .disk(10, 'dm-0', { tid: 11, forMs: 12_000 })
      .futex(10, { forMs: 12_000 }),
  );
  t.equal(answer.subScene, 'Suspended');
  const proof = answer.evidence.find(({ probe }) => probe === 'kmsg');
  t.match(proof, { type: 'error.kernel', entity: 'pid:11', detail: /^INFO: task p11:11 blocked/ });
  t.ok(answer.chain[0]?.evidence.includes(proof?.id ?? '?'), 'under the link of the thread that waits');
});

t.test('the number of a hung task is believed only for the wait that it was said of', async () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 300_000 }),
      fc.integer({ min: 2_000, max: 300_000 }),
      fc.integer({ min: 1, max: 600 }),
      (saidAgoMs, forMs, seconds) => {
        const told = heard((s) =>
          past(s.seen(10), saidAgoMs, (p) => hung(p, 10, seconds)).disk(10, 'sda', { forMs }),
        );
        // A second of doubt about the clocks: nothing is asserted within it.
        if (forMs < saidAgoMs) return told.length === 0;
        return forMs < saidAgoMs + 1_000 || told.length === 1;
      },
    ),
  );
});

t.test('links: only those that went down before, not long before, and were not up again', async (t) => {
  const stalled = (s: Story): Story => s.receives(10, stuck(flow(1), s.now - 10_000));
  const cases: readonly [string, number, (s: Story) => Story, number][] = [
    ['down long before', 200_000, (s) => link(s, 'down'), 0],
    ['down after it began', 5_000, (s) => link(s, 'down'), 0],
    ['a flap over before it began', 30_000, (s) => link(link(s, 'down').later(9_000), 'up'), 0],
    ['up again later', 12_000, (s) => link(link(s, 'down').later(9_000), 'up'), 2],
    ['an InfiniBand port', 12_000, (s) => link(s, 'down', 'rdma:mlx5_0/1'), 1],
    ['an adapter’s PCIe error', 12_000, (s) => hardware(s, 'pci:0000:3b:00.0', ['net:eth0']), 1],
    ['a disk’s PCIe error', 12_000, (s) => hardware(s, 'pci:0000:3c:00.0', ['block:nvme0n1']), 0],
  ];
  for (const [name, agoMs, tell, facts] of cases) {
    const before = (s: Story): Story => {
      const { now } = s;
      s.now -= agoMs;
      tell(s);
      s.now = now;
      return s;
    };
    t.equal(heard((s) => stalled(before(s.seen(10)))).length, facts, name);
  }
  const local = { ...flow(1), local: '127.0.0.1', remote: '127.0.0.1' };
  t.same(
    heard((s) => past(s.seen(10), 12_000, (p) => link(p, 'down')).receives(10, stuck(local, s.now - 10_000))),
    [],
    'loopback goes over no link',
  );
});

t.test('hardware: under the disk that a process waits on, and under no other', async (t) => {
  const pci = ['pci:0000:3b:00.0', ['block:sda']] as const;
  const waits = (s: Story, on: string): Story =>
    hardware(
      s
        .seen(10)
        .say('storage.device', 'block:sda', 1e9, { dev: '8:0', kind: 'disk', under: [] })
        .say('storage.device', 'block:dm-0', 1e9, { dev: '252:0', kind: 'dm', under: ['block:sda'] })
        .say('storage.device', 'block:sdb', 1e9, { dev: '8:16', kind: 'disk', under: [] }),
      ...pci,
    ).disk(10, on, { forMs: 9_000 });
  t.same(
    heard((s) => waits(s, 'sda')),
    ['error.hw pci:0000:3b:00.0'],
  );
  t.same(
    heard((s) => waits(s, 'dm-0')),
    ['error.hw pci:0000:3b:00.0'],
    'by what it lies on',
  );
  t.same(
    heard((s) => waits(s, 'sdb')),
    [],
  );
  const failed = (agoMs: number) => (s: Story) =>
    past(waits(s, 'sdb'), 0, (p) => p)
      .later(agoMs)
      .say('storage.error', 'block:sda', 4_096, {
        ...REQUEST,
        op: 'read',
        status: 'EIO',
        submitter: { pid: 10, start: 10_000, comm: 'p10' },
      })
      .sleeps(10);
  t.same(heard(failed(5_000)), ['error.hw pci:0000:3b:00.0'], 'its own failed request');
  t.same(heard(failed(500_000)), [], 'what was said long before is of another time');
});

t.test('a crash near an error of memory that is nobody’s by name', async (t) => {
  const mce = { class: 'mce' } as const;
  const crash = (signal: string) => (s: Story) =>
    hardware(hardware(s.seen(10), 'cpu:1', [], mce), 'edac:mc0', [], { class: 'edac', severity: 'corrected' })
      .later(2_000)
      .exited(10, { signal });
  const answer = answerOf(crash('SIGBUS'));
  t.match(answer.evidence.find(({ probe }) => probe === 'kmsg')?.detail, /not known$/);
  t.equal(answer.subScene, 'Signal', 'evidence, and no cause');
  t.same(heard(crash('SIGSEGV')), ['error.hw cpu:1'], 'corrected errors do no harm');
  t.same(heard(crash('SIGTERM')), []);
});

t.test('a process that is starved on a CPU that is locked up', async (t) => {
  const told = heard((s) => {
    s.seen(10);
    for (let second = 0; second <= 4; second++) {
      s.wait('wait.run', 10, 'pid:10', { delayMs: second * 990, cpus: 1, cpu: 3 }, { runMs: 0, forMs: 0 });
      s.pass([]).later(1_000);
    }
    lockup(s, 3, 999);
    lockup(s, 2, 998);
  });
  t.same(told, ['error.kernel cpu:3'], 'by a thread of the kernel that nobody samples');
});

t.test('a server of which the log says that it is silent, until it says otherwise', async (t) => {
  const mount = {
    dev: '0:51',
    fsType: 'nfs4',
    mountPoint: '/home',
    under: [],
    server: '10.0.0.9',
    readOnly: false,
  };
  const waits = (...said: readonly boolean[]) =>
    heard((s) => {
      s.seen(10).say('storage.mount', 'fs:/home', 0, mount, 'filesystem');
      for (const responding of said)
        s.say('storage.server', 'peer:10.0.0.9', 1, { server: 'filer', responding }, 'kmsg');
      return s.wait('wait.disk', 10, 'fs:/home', { dev: '0:51' }, { forMs: 9_000 });
    });
  t.same(waits(false), ['storage.server peer:10.0.0.9']);
  t.same(waits(false, true), []);
});

t.test('what is kept of the log is bounded', async (t) => {
  const s = new Story().seen(10);
  for (let n = 0; n < 1_000; n++) {
    hung(s, n);
    lockup(s, n, n);
    link(s, 'down', `net:eth${n}`);
    hardware(s, `cpu:${n}`, []);
  }
  const { hung: tasks, lockups, links, hardware: broken } = s.graph.host;
  for (const kept of [tasks, lockups, links, broken]) t.equal(kept.size, 64);
  t.ok(tasks.has(999) && !tasks.has(0), 'the newest');
});
