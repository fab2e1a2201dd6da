/** GpuError: a fault of a GPU is the cause for who uses it, and for nobody else. */
import t from 'tap';
import { flow, idOf, Story } from './build.js';
import { device, health, line, nvml, opened, state, training, use, users } from './gpu-story.js';
import { type Case, table } from './table.js';

/** Later, and the process still waits. */
function still(s: Story, ms = 1_000): Story {
  return s
    .later(ms)
    .futex(10, { forMs: 5_000 + ms })
    .pass([]);
}

const cause = (root: string, scene: string, ails: string): Case['expect'] => ({
  verdict: 'cause-found',
  scene,
  root,
  chain: ['pid:10', root, `error:${ails}/${root}`],
});

table([
  {
    name: 'Xid 79 in the kernel log, which knows only the address',
    tell: (s) => still(line(training(s), 0, 79, { pid: 10 })),
    ask: 10,
    expect: {
      ...cause('gpu:0', 'GpuError/OffBus', 'xid-79'),
      confidence: 0.95,
      summary:
        /^gpu:0 failed 1\.0 s ago: Xid 79 \(fallen-off-bus\): The GPU does not answer on PCIe any more/,
    },
  },
  {
    name: 'Xid 79 by NVML alone',
    tell: (s) => still(nvml(training(s), 0, 79)),
    ask: 10,
    expect: cause('gpu:0', 'GpuError/OffBus', 'xid-79'),
  },
  {
    name: 'a line that came before anything was known of the GPU',
    tell: (s) => still(users(device(line(s.seen(10), 0, 48)), 0, [10, 1])),
    ask: 10,
    expect: cause('gpu:0', 'GpuError/Ecc', 'xid-48'),
  },
  {
    name: 'no NVML: the line names the process',
    tell: (s) => still(line(s.seen(10), 0, 109, { pid: 10 })),
    ask: 10,
    expect: cause('gpu:0000:3b:00.0', 'GpuError', 'xid-109'),
  },
  {
    name: 'an informational code is no cause',
    tell: (s) => still(line(training(s), 0, 63)),
    ask: 10,
    expect: { verdict: 'unknown' },
  },
  {
    name: 'a cleanup points at what was before it, and what came with it is told',
    tell: (s) =>
      still(line(line(line(training(s), 0, 48), 0, 63).later(200), 0, 45, { pid: 10, causedBy: 48 })),
    ask: 10,
    expect: { ...cause('gpu:0', 'GpuError/Ecc', 'xid-48'), summary: /with it Xid 63, 45/ },
  },
  {
    name: 'a cleanup alone is a symptom',
    tell: (s) => still(line(training(s), 0, 45, { pid: 10 })),
    ask: 10,
    expect: {
      verdict: 'symptom-only',
      scene: 'GpuError',
      chain: ['pid:10', 'gpu:0'],
      summary: /Xid 45 on gpu:0/,
    },
  },
  {
    name: 'a cleanup of another process says nothing',
    tell: (s) => still(line(training(s.seen(11)), 0, 45, { pid: 11 })),
    ask: 10,
    expect: { verdict: 'unknown' },
  },
  {
    name: 'a fault of another GPU is none of its',
    tell: (s) => still(line(device(training(s), 1), 1, 79)),
    ask: 10,
    expect: { verdict: 'unknown' },
  },
  {
    name: 'memory that failed for another program, contained',
    tell: (s) => still(line(users(training(s.seen(11)), 0, [10, 1], [11, 1]), 0, 94, { pid: 11 })),
    ask: 10,
    expect: { verdict: 'unknown' },
  },
  {
    name: 'its own access to a wrong address: the program',
    tell: (s) => still(line(training(s), 0, 31, { pid: 10 })),
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: 'GpuError',
      root: 'pid:10',
      chain: ['pid:10', 'error:xid-31/pid:10'],
      summary: /^its own work on gpu:0 was refused/,
    },
  },
  {
    name: 'again and again on this GPU alone: the hardware',
    tell: (s) => still(line(line(training(s), 0, 31, { pid: 9 }).later(60_000), 0, 31, { pid: 10 })),
    ask: 10,
    expect: {
      ...cause('gpu:0', 'GpuError', 'xid-31'),
      summary: /2 times on this GPU and on no other, which points to its hardware/,
    },
  },
  {
    name: 'on several GPUs: the application',
    tell: (s) => still(line(line(device(training(s), 1), 1, 31, { pid: 9 }), 0, 31, { pid: 10 })),
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: 'GpuError',
      root: 'pid:10',
      summary: /so it was on 2 GPUs, which points to the application/,
    },
  },
  {
    name: 'NVLink 5 with its unit, and what to do by it',
    tell: (s) =>
      still(
        line(training(s), 0, 149, {
          nvlink: {
            unit: 'NETIR_LINK_EVT',
            fatal: true,
            spreads: false,
            injected: false,
            link: 8,
            reason: 2,
          },
        }),
      ),
    ask: 10,
    expect: {
      ...cause('gpu:0', 'GpuError/Nvlink', 'xid-149'),
      summary: /unit NETIR_LINK_EVT, fatal, link 8: too many bits were wrong/,
    },
  },
  {
    name: 'NVLink 5, corrected: no cause',
    tell: (s) =>
      still(
        line(training(s), 0, 145, {
          nvlink: { unit: 'RLW_REMAP', fatal: false, spreads: false, injected: false, status: 0x100 },
        }),
      ),
    ask: 10,
    expect: { verdict: 'unknown' },
  },
  {
    name: 'lost by NVML',
    tell: (s) => still(state(training(s), 0, { state: 'lost', reason: 'GPU_IS_LOST' })),
    ask: 10,
    expect: {
      ...cause('gpu:0', 'GpuError/OffBus', 'lost'),
      confidence: 0.97,
      summary: /^gpu:0 does not answer its driver any more \(NVML: GPU_IS_LOST\), for 1\.0 s/,
    },
  },
  {
    name: 'lost, and the log says how',
    tell: (s) => still(line(state(training(s), 0, { state: 'lost', reason: 'GPU_IS_LOST' }), 0, 79)),
    ask: 10,
    expect: cause('gpu:0', 'GpuError/OffBus', 'xid-79'),
  },
  {
    name: 'waits for a reset',
    tell: (s) => still(state(training(s), 0, { state: 'lost', reason: 'RESET_REQUIRED' })),
    ask: 10,
    expect: { ...cause('gpu:0', 'GpuError', 'lost'), summary: /does nothing until it is reset/ },
  },
  {
    name: 'not there any more',
    tell: (s) => still(state(training(s), 0, { state: 'gone', reason: 'GPU_NOT_FOUND' })),
    ask: 10,
    expect: cause('gpu:0', 'GpuError/OffBus', 'lost'),
  },
  {
    name: 'the driver was taken away',
    tell: (s) =>
      still(state(training(s), 0, { state: 'gone', scope: 'library', reason: 'DRIVER_NOT_LOADED' })),
    ask: 10,
    expect: { ...cause('gpu:0', 'GpuError', 'lost'), summary: /^the driver of gpu:0 was taken away/ },
  },
  {
    name: 'hangs',
    tell: (s) => still(state(training(s), 0, { state: 'hung', call: 'nvmlDeviceGetMemoryInfo' })),
    ask: 10,
    expect: { ...cause('gpu:0', 'GpuError', 'hung'), summary: /nvmlDeviceGetMemoryInfo/ },
  },
  {
    name: 'a driver that does not answer us holds up nobody who gets on',
    tell: (s) => state(training(s), 0, { state: 'hung', scope: 'library' }).later(1_000).sleeps(10).pass([]),
    ask: 10,
    expect: { verdict: 'healthy' },
  },
  {
    name: 'was lost and is back: let go',
    tell: (s) =>
      still(
        state(line(state(training(s), 0, { state: 'lost' }), 0, 79).later(9_000), 0, {
          state: 'ok',
          was: 'lost',
        }),
      ),
    ask: 10,
    expect: { verdict: 'unknown' },
  },
  {
    name: 'uncorrected errors that were counted',
    tell: (s) => still(health(training(s), 0, { uncorrectedVolatile: 3, remapPending: true })),
    ask: 10,
    expect: {
      ...cause('gpu:0', 'GpuError/Ecc', 'ecc'),
      summary: /^memory of gpu:0 lost data 1\.0 s ago: 3 uncorrected errors/,
    },
  },
  {
    name: 'errors from before: nobody knows when',
    tell: (s) =>
      still(
        health(users(device(s.seen(10)), 0, [10, 1]), 0, { uncorrectedAggregate: 7, remapPending: true }),
      ),
    ask: 10,
    expect: { verdict: 'unknown' },
  },
  {
    name: 'a row that waits for a reset',
    tell: (s) => still(health(training(s), 0, { remapPending: true })),
    ask: 10,
    expect: cause('gpu:0', 'GpuError/Ecc', 'remap-pending'),
  },
  {
    name: 'a row that could not be replaced',
    tell: (s) => still(health(training(s), 0, { remapPending: true, remapFailed: true })),
    ask: 10,
    expect: { verdict: 'cause-found', scene: 'GpuError/Ecc', root: 'gpu:0' },
  },
  {
    name: 'an NVLink that was up goes down',
    tell: (s) =>
      still(
        health(training(s), 0, {
          links: [
            { link: 0, up: false },
            { link: 1, up: false },
          ],
        }),
      ),
    ask: 10,
    expect: {
      ...cause('gpu:0', 'GpuError/Nvlink', 'nvlink'),
      summary: /^NVLink 0 of gpu:0 went down 1\.0 s ago/,
    },
  },
  {
    name: 'and up again',
    tell: (s) => {
      health(training(s), 0, { links: [{ link: 0, up: false }] }).later(2_000);
      still(health(s, 0, { links: [{ link: 0, up: true }] }));
    },
    ask: 10,
    expect: { verdict: 'unknown' },
  },
  {
    name: 'a switch that failed for good is why a link is down',
    tell: (s) => {
      training(s).say(
        'error.sxid',
        'nvswitch:3',
        1,
        { code: 20034, pci: '0000:c1:00.0', severity: 'fatal', message: 'x' },
        'kmsg',
      );
      still(line(s.later(100), 0, 74));
    },
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: 'GpuError/Nvlink',
      root: 'nvswitch:3',
      chain: ['pid:10', 'gpu:0', 'nvswitch:3', 'error:sxid-20034/nvswitch:3'],
      summary: /^nvswitch:3 failed 1\.1 s ago: SXid 20034: A link went down/,
    },
  },
  {
    name: 'what a switch corrected is no cause',
    tell: (s) =>
      still(
        training(s).say(
          'error.sxid',
          'nvswitch:3',
          1,
          { code: 11012, pci: '0000:c1:00.0', severity: 'correctable', message: 'x' },
          'kmsg',
        ),
      ),
    ask: 10,
    expect: { verdict: 'unknown' },
  },
  {
    name: 'slowed by heat while it works',
    tell: (s) => {
      training(s);
      for (let i = 0; i < 4; i++)
        use(s.later(1_000), 0, { gpuPercent: 80, throttle: ['sw-thermal', 'power-cap'], temperatureC: 93 });
      s.runs(10).pass([]);
    },
    ask: 10,
    expect: {
      ...cause('gpu:0', 'GpuError/Thermal', 'throttle'),
      summary: /^gpu:0 has been slowed for 3\.0 s because of heat \(sw-thermal, 93 °C\)/,
    },
  },
  {
    name: 'slowed by heat, while its threads wait for the other ranks',
    tell: (s) => {
      const job = { because: 'launcher', launcher: 'torchrun', id: 'none', worldSize: 2 } as const;
      training(s.seen(10, { job: { ...job, rank: 0 } }).seen(20, { job: { ...job, rank: 1 } }));
      for (let i = 0; i < 4; i++)
        use(s.later(1_000), 0, { gpuPercent: 80, throttle: ['sw-thermal'], temperatureC: 93 });
      s.futex(10, { forMs: 7_000 })
        .polls(10, [flow(1)], { tid: 11, forMs: 8, comm: 'gloo' })
        .holders(idOf(flow(1)), 20)
        .futex(20, { forMs: 7_000 })
        .pass();
    },
    ask: 10,
    expect: cause('gpu:0', 'GpuError/Thermal', 'throttle'),
  },
  {
    name: 'its power is cut',
    tell: (s) => {
      training(s);
      for (let i = 0; i < 4; i++)
        use(s.later(1_000), 0, { gpuPercent: 80, throttle: ['hw-slowdown', 'power-brake'] });
      s.runs(10).pass([]);
    },
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: 'GpuError',
      root: 'gpu:0',
      summary: /because of its power supply/,
    },
  },
  {
    name: 'at its power limit it does what it should',
    tell: (s) => {
      training(s);
      for (let i = 0; i < 4; i++) use(s.later(1_000), 0, { gpuPercent: 80, throttle: ['power-cap'] });
      s.runs(10).pass([]);
    },
    ask: 10,
    expect: { verdict: 'healthy' },
  },
  {
    name: 'it computes on: no fault holds it up',
    tell: (s) => {
      health(training(s), 0, { remapPending: true }).later(4_000);
      use(users(s, 0, [10, 10, 60]), 0, { gpuPercent: 60 });
      s.runs(10).pass([]);
    },
    ask: 10,
    expect: { verdict: 'healthy' },
  },
  {
    name: 'spinning for a GPU that is lost is no progress',
    tell: (s) => {
      line(training(s), 0, 79);
      for (let i = 1; i < 4; i++)
        s.later(1_000)
          .runs(10, { runMs: 100 + i * 1_000 })
          .pass([]);
    },
    ask: 10,
    expect: cause('gpu:0', 'GpuError/OffBus', 'xid-79'),
  },
  {
    name: 'whoever only has it open is told where nothing else is known',
    tell: (s) => still(line(opened(users(device(s.seen(10).seen(11)), 0, [11, 1]), 0, 10, 11), 0, 79)),
    ask: 10,
    expect: cause('gpu:0', 'GpuError/OffBus', 'xid-79'),
  },
  {
    name: 'and not where it sleeps by design',
    tell: (s) =>
      line(opened(users(device(s.seen(10).seen(11)), 0, [11, 1]), 0, 10, 11), 0, 79)
        .later(1_000)
        .sleeps(10)
        .pass([]),
    ask: 10,
    expect: { verdict: 'healthy' },
  },
  {
    name: 'a trainer waits for its worker, whose GPU has failed',
    tell: (s) =>
      line(users(device(s.seen(10).seen(11)), 0, [11, 1]), 0, 79)
        .later(2_000)
        .reads(10, 77, { forMs: 1_500 })
        .futex(11)
        .holders('pipe:77', 10, 11)
        .pass([]),
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: 'GpuError/OffBus',
      root: 'gpu:0',
      chain: ['pid:10', 'pipe:77', 'pid:11', 'gpu:0', 'error:xid-79/gpu:0'],
    },
  },
  {
    name: 'it ended on the fault, told of later',
    tell: (s) => line(training(s).exited(10, { code: 1 }).later(500), 0, 79, { pid: 10 }).later(60_000),
    ask: 10,
    expect: {
      ...cause('gpu:0', 'GpuError/OffBus', 'xid-79'),
      summary: /^exited with code 1: gpu:0 failed .* Xid 79/,
    },
  },
  {
    name: 'it ended on the fault, and the GPU was reset since',
    tell: (s) =>
      state(
        state(training(s), 0, { state: 'lost' }).later(500).exited(10, { signal: 'SIGABRT' }).later(9_000),
        0,
        {
          state: 'ok',
          was: 'lost',
        },
      ).later(60_000),
    ask: 10,
    expect: { ...cause('gpu:0', 'GpuError/OffBus', 'lost'), summary: /^killed by SIGABRT: / },
  },
  {
    name: 'its own bug is a crash, with the driver’s word for it',
    tell: (s) =>
      line(line(training(s), 0, 13, { pid: 10 }), 0, 43, { pid: 10 })
        .later(300)
        .exited(10, { code: 1 }),
    ask: 10,
    expect: {
      verdict: 'cause-found',
      scene: 'ProcessCrash/ExitCode',
      root: 'pid:10',
      summary: /exited with code 1, after Xid 13 \(graphics-exception\), Xid 43 \(channel-reset\) of its own/,
    },
  },
  {
    name: 'somebody else killed it',
    tell: (s) => line(training(s), 0, 79).exited(10, { signal: 'SIGTERM' }),
    ask: 10,
    expect: { verdict: 'cause-found', scene: 'ProcessCrash/Signal', root: 'pid:10' },
  },
  {
    name: 'the fault came long after the end',
    tell: (s) => line(training(s).exited(10, { code: 1 }).later(20_000), 0, 79),
    ask: 10,
    expect: { verdict: 'cause-found', scene: 'ProcessCrash/ExitCode', root: 'pid:10' },
  },
]);

t.test('the node’s findings: the GPU once, with how many it holds up', async (t) => {
  const s = new Story();
  users(device(s.seen(10).seen(11)), 0, [10, 1], [11, 1]);
  line(s.later(3_000), 0, 79).later(1_000).futex(10).futex(11).pass([]);
  const { findings } = s.findings();
  t.equal(findings.length, 1);
  t.match(findings[0], { scene: 'GpuError', rootCause: { node: 'gpu:0', type: 'gpu' } });
  t.match(findings[0]?.summary, /1 more process waits on it/);
});

t.test('both sources are evidence of one fault', async (t) => {
  const s = new Story();
  nvml(line(training(s), 0, 79, { pid: 10 }).later(900), 0, 79);
  const answer = still(s).why(10);
  t.same(
    answer?.evidence
      .filter(({ type }) => type === 'error.xid' || type === 'gpu.event')
      .map(({ probe }) => probe),
    ['kmsg', 'gpu'],
  );
  t.same(s.graph.xids.counts(), [{ gpu: 0, xid: 79, count: 1 }]);
});

t.test('what the driver asks for goes before what the catalogue says', async (t) => {
  const s = new Story();
  line(line(training(s), 0, 31, { pid: 10 }), 0, 154, { recovery: 'reboot' });
  t.match(still(s).why(10)?.recommendations[0], /[Rr]eboot/);
});
