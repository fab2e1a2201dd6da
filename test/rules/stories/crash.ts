/** ProcessCrash, of the process itself and of one that it counts on. */
import type { ExitAttrs } from '../../../src/events/event.js';
import type { Story } from '../../scene/build.js';
import { type RuleStories, told } from './story.js';

type Ending = Pick<ExitAttrs, 'code' | 'signal' | 'core'>;

function ended(ending: Ending): (s: Story) => Story {
  const { code, signal, core } = ending;
  const how = {
    ...(code !== undefined && { code }),
    ...(signal !== undefined && { signal }),
    ...(core === true && { core }),
  };
  return (s) => s.seen(10, { comm: 'trainer' }).later(5_000).exited(10, how).later(1_000);
}

function killed(s: Story, pid: number, more: { readonly limited?: string } = {}): Story {
  const limit = more.limited === undefined ? {} : { limited: more.limited, limitBytes: 512 * 1024 ** 2 };
  const attrs = { start: pid * 1_000, comm: 'trainer', rssBytes: 510 * 1024 ** 2, ...limit };
  s.say('process.oom_kill', `pid:${pid}`, 0, attrs, 'process', pid);
  return s.exited(pid, { signal: 'SIGKILL' });
}

function seen(s: Story, ...pids: readonly number[]): Story {
  for (const pid of pids) s.seen(pid, { comm: 'trainer' });
  return s.later(5_000);
}

function mce(s: Story, about: readonly string[]): Story {
  const message = 'Memory failure: 0x1234: Killing p10:10 due to hardware memory corruption';
  const attrs = { class: 'mce', severity: 'uncorrected', message, about } as const;
  return s.say('error.hw', 'node', 1, attrs, 'kmsg');
}

/** The trainer's own end of the pipe is open, too: its read does not end when the loader does. */
function lostWorker(s: Story, ending: Ending): Story {
  s.seen(10, { comm: 'trainer' }).forked(20, { comm: 'loader', ppid: 10 }).later(5_000);
  s.exited(20, ending.signal === undefined ? { code: ending.code ?? 0 } : { signal: ending.signal });
  return s.later(2_000).reads(10, 7, { forMs: 3_000 }).holders('pipe:7', 10).pass();
}

/** So many of one job end the same way within a few seconds; the last of them is asked about. */
function together(s: Story, times: number, signal: string): Story {
  for (let i = 1; i < times; i++) s.seen(100 + i, { comm: 'trainer' });
  s.seen(10, { comm: 'trainer' }).later(60_000);
  for (let i = 1; i < times; i++) s.later(200).exited(100 + i, { signal });
  return s.later(200).exited(10, { signal }).later(1_000);
}

function ooms(s: Story, times: number): Story {
  for (let i = 1; i < times; i++) killed(seen(s.later(70_000), 100 + i), 100 + i, { limited: '/kubepods/x' });
  return killed(seen(s.later(70_000), 10), 10, { limited: '/kubepods/x' }).later(1_000);
}

export const CRASH_STORIES: readonly RuleStories[] = [
  {
    rule: 'oom-in-cgroup',
    hit: told(10, 'ProcessCrash/HostOom', (s) => killed(seen(s, 10), 10, { limited: '/kubepods/x' })),
    miss: told(10, 'ProcessCrash/HostOom', (s) => killed(seen(s, 10), 10)),
  },
  {
    rule: 'oom-of-node',
    hit: told(10, 'ProcessCrash/HostOom', (s) => killed(seen(s, 10), 10)),
    miss: told(10, 'ProcessCrash/HostOom', (s) => killed(seen(s, 10), 10, { limited: '/kubepods/x' })),
  },
  {
    rule: 'oom-again-and-again',
    hit: told(10, 'ProcessCrash/HostOom', (s) => ooms(s, 3)),
    miss: told(10, 'ProcessCrash/HostOom', (s) => ooms(s, 2)),
  },
  {
    rule: 'memory-failed-in-hardware',
    hit: told(10, 'ProcessCrash/MemoryFailure', (s) => mce(ended({ signal: 'SIGBUS' })(s), ['pid:10'])),
    miss: told(10, 'ProcessCrash/Signal', (s) => mce(ended({ signal: 'SIGBUS' })(s), [])),
  },
  {
    rule: 'crash-invalid-memory-access',
    hit: told(10, 'ProcessCrash/Signal', ended({ signal: 'SIGSEGV', core: true })),
    miss: told(10, 'ProcessCrash/Signal', ended({ signal: 'SIGABRT', core: true })),
  },
  {
    rule: 'crash-aborted',
    hit: told(10, 'ProcessCrash/Signal', ended({ signal: 'SIGABRT', core: true })),
    miss: told(10, 'ProcessCrash/Signal', ended({ signal: 'SIGSEGV', core: true })),
  },
  {
    rule: 'crash-bus-error',
    hit: told(10, 'ProcessCrash/Signal', ended({ signal: 'SIGBUS', core: true })),
    miss: told(10, 'ProcessCrash/Signal', ended({ signal: 'SIGSEGV', core: true })),
  },
  {
    rule: 'crash-bad-instruction',
    hit: told(10, 'ProcessCrash/Signal', ended({ signal: 'SIGILL', core: true })),
    miss: told(10, 'ProcessCrash/Signal', ended({ signal: 'SIGSEGV', core: true })),
  },
  {
    rule: 'killed-by-somebody',
    hit: told(10, 'ProcessCrash/Signal', ended({ signal: 'SIGKILL' })),
    miss: told(10, 'ProcessCrash/HostOom', (s) => killed(seen(s, 10), 10)),
  },
  {
    rule: 'asked-to-end',
    hit: told(10, 'ProcessCrash/Signal', ended({ signal: 'SIGTERM' })),
    miss: told(10, 'ProcessCrash/Signal', ended({ signal: 'SIGKILL' })),
  },
  {
    rule: 'exit-program-error',
    hit: told(10, 'ProcessCrash/ExitCode', ended({ code: 1 })),
    miss: told(10, 'healthy', ended({ code: 0 })),
  },
  {
    rule: 'exit-command-not-run',
    hit: told(10, 'ProcessCrash/ExitCode', ended({ code: 127 })),
    miss: told(10, 'ProcessCrash/ExitCode', ended({ code: 1 })),
  },
  {
    rule: 'exit-after-a-signal',
    hit: told(10, 'ProcessCrash/ExitCode', ended({ code: 137 })),
    miss: told(10, 'ProcessCrash/ExitCode', ended({ code: 3 })),
  },
  {
    rule: 'worker-died',
    hit: told(10, 'ProcessCrash/Signal', (s) => lostWorker(s, { signal: 'SIGKILL' })),
    miss: told(10, 'unknown', (s) => lostWorker(s, { code: 0 })),
  },
  {
    rule: 'job-ended-from-outside',
    hit: told(10, 'ProcessCrash/Signal', (s) => together(s, 4, 'SIGKILL')),
    miss: told(10, 'ProcessCrash/Signal', (s) => together(s, 2, 'SIGKILL')),
  },
  {
    rule: 'ranks-aborted-together',
    hit: told(10, 'ProcessCrash/Signal', (s) => together(s, 4, 'SIGABRT')),
    miss: told(10, 'ProcessCrash/Signal', ended({ signal: 'SIGABRT', core: true })),
  },
  {
    rule: 'bus-error-while-disks-fail',
    hit: told(10, 'ProcessCrash/Signal', (s) => {
      const message = 'nvme nvme0: I/O 5 QID 1 timeout, aborting';
      const attrs = { class: 'nvme', severity: 'uncorrected', message, about: ['block:nvme0n1'] } as const;
      s.seen(10, { comm: 'trainer' }).later(5_000).say('error.hw', 'block:nvme0n1', 1, attrs, 'kmsg');
      s.later(3_000).exited(10, { signal: 'SIGBUS', core: true }).later(1_000);
    }),
    miss: told(10, 'ProcessCrash/Signal', ended({ signal: 'SIGBUS', core: true })),
  },
];
