/** GpuError, GpuOom, GpuUtilLow. */
import type { Story } from '../../scene/build.js';
import { device, GIB, health, line, state, training, use, users } from '../../scene/gpu-story.js';
import { type RuleStories, still, told } from './story.js';

const FULL = { usedBytes: 79 * GIB, freeBytes: GIB, totalBytes: 80 * GIB, gpuPercent: 0 };

function aer(s: Story): Story {
  const message = 'pcieport 0000:3a:00.0: AER: Uncorrected (Non-Fatal) error received: 0000:3b:00.0';
  const attrs = { class: 'aer', severity: 'uncorrected', message, about: ['pci:0000:3b:00.0'] } as const;
  return s.say('error.hw', 'pci:0000:3b:00.0', 1, attrs, 'kmsg');
}

function xid(code: number, more: { readonly pid?: number } = {}): (s: Story) => Story {
  return (s) => still(line(training(s), 0, code, more));
}

/** Slowed for three seconds while it works. */
function slowed(s: Story, throttle: Parameters<typeof use>[2] & object): Story {
  training(s);
  for (let i = 0; i < 4; i++) use(s.later(1_000), 0, { gpuPercent: 80, ...throttle });
  return s.runs(10).pass([]);
}

/** It worked, and then did nothing for so many seconds under process 10. */
function idle(s: Story, seconds: number): Story {
  s.seen(10, { comm: 'trainer' }).seen(20, { comm: 'loader' });
  use(users(device(s), 0, [10, 10]), 0, { gpuPercent: 90 });
  for (let i = 0; i <= seconds; i++) use(s.later(1_000), 0, { gpuPercent: 0 });
  return s;
}

/** The trainer reads what its loader should write. */
function starved(s: Story, seconds = 5): Story {
  return idle(s, seconds).reads(10, 7).holders('pipe:7', 20);
}

function fills(s: Story): Story {
  users(device(s.seen(10).seen(11)), 0, [11, 70]);
  use(s, 0, { usedBytes: 70 * GIB }).later(120_000);
  return use(users(s, 0, [11, 70], [10, 9]), 0, FULL);
}

function linkDown(s: Story): Story {
  return health(training(s), 0, { links: [{ link: 0, up: false }] });
}

function switchFails(s: Story): Story {
  const attrs = { code: 20034, pci: '0000:c1:00.0', severity: 'fatal', message: 'SXid 20034' } as const;
  return still(line(training(s).say('error.sxid', 'nvswitch:3', 1, attrs, 'kmsg').later(100), 0, 74));
}

export const GPU_STORIES: readonly RuleStories[] = [
  {
    rule: 'gpu-off-bus',
    hit: told(10, 'GpuError/OffBus', xid(79, { pid: 10 })),
    miss: told(10, 'GpuError', (s) =>
      still(state(training(s), 0, { state: 'lost', reason: 'RESET_REQUIRED' })),
    ),
  },
  {
    rule: 'gpu-off-bus-with-pcie-errors',
    hit: told(10, 'GpuError/OffBus', (s) => still(line(aer(training(s)).later(300), 0, 79))),
    miss: told(10, 'GpuError/OffBus', xid(79)),
  },
  {
    rule: 'gpu-memory-uncorrectable',
    hit: told(10, 'GpuError/Ecc', xid(48)),
    miss: told(10, 'unknown', xid(63)),
  },
  {
    rule: 'gpu-memory-error-contained',
    hit: told(10, 'GpuError/Ecc', xid(94, { pid: 10 })),
    miss: told(10, 'GpuError/Ecc', xid(95)),
  },
  {
    rule: 'gpu-memory-error-uncontained',
    hit: told(10, 'GpuError/Ecc', xid(95)),
    miss: told(10, 'GpuError/Ecc', xid(94, { pid: 10 })),
  },
  {
    rule: 'gpu-sram-uncorrectable',
    hit: told(10, 'GpuError/Ecc', xid(172)),
    miss: told(10, 'GpuError/Ecc', xid(171)),
  },
  {
    rule: 'gpu-row-remap-pending',
    hit: told(10, 'GpuError/Ecc', (s) => still(health(training(s), 0, { remapPending: true }))),
    miss: told(10, 'GpuError/Ecc', (s) => still(health(training(s), 0, { remapFailed: true }))),
  },
  {
    rule: 'gpu-row-remap-failed',
    hit: told(10, 'GpuError/Ecc', (s) => still(health(training(s), 0, { remapFailed: true }))),
    miss: told(10, 'GpuError/Ecc', (s) => still(health(training(s), 0, { remapPending: true }))),
  },
  {
    rule: 'gpu-nvlink',
    hit: told(10, 'GpuError/Nvlink', (s) => still(linkDown(s))),
    miss: told(10, 'GpuError/Nvlink', switchFails),
  },
  {
    rule: 'gpu-nvswitch',
    hit: told(10, 'GpuError/Nvlink', switchFails),
    miss: told(10, 'GpuError/Nvlink', xid(74)),
  },
  {
    rule: 'gpu-thermal',
    hit: told(10, 'GpuError/Thermal', (s) => slowed(s, { throttle: ['sw-thermal'], temperatureC: 93 })),
    miss: told(10, 'healthy', (s) => slowed(s, { throttle: ['power-cap'], temperatureC: 71 })),
  },
  {
    rule: 'gpu-power-brake',
    hit: told(10, 'GpuError', (s) => slowed(s, { throttle: ['hw-slowdown', 'power-brake'] })),
    miss: told(10, 'GpuError/Thermal', (s) => slowed(s, { throttle: ['hw-slowdown', 'hw-thermal'] })),
  },
  {
    rule: 'gpu-power-cable',
    hit: told(10, 'GpuError', xid(54)),
    miss: told(10, 'GpuError', (s) => slowed(s, { throttle: ['hw-slowdown', 'power-brake'] })),
  },
  {
    rule: 'gpu-system-processor',
    hit: told(10, 'GpuError', xid(119)),
    miss: told(10, 'GpuError', xid(109, { pid: 10 })),
  },
  {
    rule: 'gpu-driver-hangs',
    hit: told(10, 'GpuError', (s) =>
      still(state(training(s), 0, { state: 'hung', call: 'nvmlDeviceGetMemoryInfo' })),
    ),
    miss: told(10, 'GpuError/OffBus', (s) =>
      still(state(training(s), 0, { state: 'lost', reason: 'GPU_IS_LOST' })),
    ),
  },
  {
    rule: 'gpu-wants-reset',
    hit: told(10, 'GpuError', (s) =>
      still(state(training(s), 0, { state: 'lost', reason: 'RESET_REQUIRED' })),
    ),
    miss: told(10, 'GpuError/OffBus', (s) =>
      still(state(training(s), 0, { state: 'lost', reason: 'GPU_IS_LOST' })),
    ),
  },
  {
    rule: 'gpu-driver-taken-away',
    hit: told(10, 'GpuError', (s) =>
      still(state(training(s), 0, { state: 'gone', scope: 'library', reason: 'DRIVER_NOT_LOADED' })),
    ),
    miss: told(10, 'GpuError/OffBus', (s) =>
      still(state(training(s), 0, { state: 'gone', reason: 'GPU_NOT_FOUND' })),
    ),
  },
  {
    rule: 'gpu-program-fault',
    hit: told(10, 'GpuError', xid(31, { pid: 10 })),
    miss: told(10, 'GpuError', (s) =>
      still(line(line(training(s), 0, 31, { pid: 9 }).later(60_000), 0, 31, { pid: 10 })),
    ),
  },
  {
    rule: 'gpu-fault-only-on-this-one',
    hit: told(10, 'GpuError', (s) =>
      still(line(line(training(s), 0, 31, { pid: 9 }).later(60_000), 0, 31, { pid: 10 })),
    ),
    miss: told(10, 'GpuError', (s) =>
      still(line(line(device(training(s), 1), 1, 31, { pid: 9 }), 0, 31, { pid: 10 })),
    ),
  },
  {
    rule: 'gpu-program-fault-crash',
    hit: told(10, 'ProcessCrash/ExitCode', (s) =>
      line(line(training(s), 0, 13, { pid: 10 }), 0, 43, { pid: 10 })
        .later(300)
        .exited(10, { code: 1 }),
    ),
    miss: told(10, 'ProcessCrash/ExitCode', (s) => training(s).exited(10, { code: 1 })),
  },
  {
    rule: 'gpu-symptom-code-alone',
    hit: told(10, 'GpuError', xid(45, { pid: 10 })),
    miss: told(10, 'GpuError/Ecc', (s) =>
      still(line(line(training(s), 0, 48).later(200), 0, 45, { pid: 10, causedBy: 48 })),
    ),
  },
  {
    rule: 'gpu-unavailable',
    hit: told(10, 'GpuError', (s) =>
      still(training(s).say('gpu.event', 'gpu:0', 1, { kind: 'unavailable' }, 'gpu')),
    ),
    miss: told(10, 'unknown', (s) =>
      still(training(s).say('gpu.event', 'gpu:0', 1, { kind: 'ecc-corrected' }, 'gpu')),
    ),
  },
  {
    rule: 'gpu-other-xid',
    hit: told(10, 'GpuError', xid(109, { pid: 10 })),
    miss: told(10, 'unknown', (s) => still(line(device(training(s), 1), 1, 109))),
  },
  {
    rule: 'gpu-xid-again',
    hit: told(10, 'GpuError/Nvlink', (s) => {
      training(s);
      for (let i = 0; i < 3; i++) line(s.later(200_000), 0, 74);
      still(s);
    }),
    miss: told(10, 'GpuError/Nvlink', (s) => {
      training(s);
      for (let i = 0; i < 4; i++) line(s.later(1_000), 0, 74);
      still(s);
    }),
  },
  {
    rule: 'gpu-out-of-memory',
    hit: told(10, 'GpuOom', (s) => fills(s).later(900).exited(10, { code: 1 }).later(30_000)),
    miss: told(10, 'ProcessCrash/ExitCode', (s) => {
      users(device(s.seen(10).seen(11)), 0, [11, 40], [10, 1]);
      use(s, 0, { usedBytes: 41 * GIB, freeBytes: 39 * GIB })
        .later(900)
        .exited(10, { code: 1 });
    }),
  },
  {
    rule: 'gpu-memory-held-by-others',
    hit: told(10, 'GpuOom', (s) => {
      users(device(s.seen(10).seen(11)), 0, [11, 78]);
      use(s, 0, { usedBytes: 78 * GIB }).later(120_000);
      use(users(s, 0, [11, 78], [10, 1]), 0, FULL)
        .later(2_000)
        .futex(10)
        .pass([]);
    }),
    miss: told(10, 'GpuOom', (s) => fills(s).later(900).exited(10, { code: 1 }).later(30_000)),
  },
  {
    rule: 'gpu-idle-for-its-loader',
    hit: told(10, 'GpuUtilLow/WaitsOnPeer', (s) => starved(s).sleeps(20).pass()),
    miss: told(10, 'ProcessBlocked/Stopped', (s) => starved(s).stopped(20).pass()),
  },
  {
    rule: 'gpu-idle-for-a-lock',
    hit: told(10, 'GpuUtilLow/LockHeld', (s) => {
      idle(s, 5).futex(10, { tid: 11 }).sleeps(10, { tid: 11 }).lock(10, 1, 11).pass([]);
    }),
    miss: told(10, 'GpuUtilLow/WaitsOnPeer', (s) => starved(s).sleeps(20).pass()),
  },
  {
    rule: 'gpu-idle-host-bound',
    hit: told(10, 'GpuUtilLow/HostBound', (s) => {
      idle(s, 15).runs(10, { runMs: 0, forMs: 0 }).pass();
      use(s.later(1_000), 0, { gpuPercent: 0 }).runs(10, { runMs: 990, forMs: 0 }).pass();
    }),
    miss: told(10, 'healthy', (s) => {
      idle(s, 4).runs(10, { runMs: 0, forMs: 0 }).pass();
      use(s.later(1_000), 0, { gpuPercent: 0 }).runs(10, { runMs: 990, forMs: 0 }).pass();
    }),
  },
  {
    rule: 'gpu-idle-and-nobody-known',
    hit: told(10, 'GpuUtilLow', (s) => idle(s, 5).futex(10).pass()),
    miss: told(10, 'healthy', (s) => idle(s, 60).sleeps(10).pass()),
  },
];
