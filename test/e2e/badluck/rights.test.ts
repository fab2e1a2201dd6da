/** Too few rights, or too little around it: the agent stays up, says what it lacks in one line, and never guesses. */
import { execFileSync } from 'node:child_process';
import { chownSync, cpSync, existsSync, mkdirSync, realpathSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t, { type Test } from 'tap';
import { ROOT } from '../../lib/root.js';
import {
  AGENT,
  ask,
  checksOf,
  complaintFlaws,
  logged,
  READY,
  scratch,
  stackFlaws,
  startRaw,
} from '../lib/raw-agent.js';

t.jobs = 2;

interface Lack {
  readonly name: string;
  readonly wrap: readonly string[];
  /** Must be in the reason. */
  readonly reason: RegExp;
  /** Owner of the socket's directory. */
  readonly uid?: number;
  readonly bin?: string;
}

/** What is gone without BPF; the other probes need less of it, or none. */
const NEED_BPF = ['kernel', ...['block', 'process', 'tcp', 'waits'].map((probe) => `probe ${probe}`)];

/** The agent is up, what needs BPF has failed for `reason`, and questions are refused instead of answered wrongly. */
async function expectBlind(t: Test, { wrap, reason, uid = 0, bin = AGENT }: Lack): Promise<void> {
  const dir = scratch(t);
  chownSync(dir, uid, uid);
  const socket = join(dir, 'agent.sock');
  const agent = await startRaw(t, { socket, wrap, bin });
  await agent.errorLine(READY, 30_000);
  const checks = await checksOf(socket);
  const named = (name: string) => checks.find((check) => check.name === name);
  for (const name of NEED_BPF) t.match(named(name), { status: 'failed', detail: reason }, name);
  t.match(named('probe filesystem'), { status: 'ok' }, 'mounts are seen all the same');
  t.match(named('probe gpu')?.detail, /libnvidia-ml|GPU/, 'and so are GPUs, where there are any');
  t.match(JSON.stringify(logged(agent, 'error')), reason, 'and so does the log');

  const why = await ask(socket, 'why', String(process.pid));
  t.equal(why.code, 5, 'refused: the process is there');
  t.same(complaintFlaws(why.stderr, `xctl why: process ${process.pid} is there`), []);
  const none = await ask(socket, 'why', '4194303');
  t.equal(none.code, 4, 'a pid that nobody has is still no process');
  const all = await ask(socket, 'why');
  t.equal(all.code, 5, 'an empty list would be good news');
  t.same(complaintFlaws(all.stderr, 'xctl why: the agent sees nothing'), []);

  agent.kill('SIGTERM');
  t.same(await agent.exited, { code: 0, signal: null }, agent.stderr.slice(-3).join(' '));
  t.notOk(existsSync(socket));
  t.same(stackFlaws(agent.stderr.join('\n')), []);
}

const MOUNTS = ['unshare', '--mount'];

t.test('not root', (t) =>
  expectBlind(t, {
    name: 'not root',
    wrap: ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups'],
    reason: /not root \(uid 65534\).*CAP_BPF/,
    uid: 65534,
  }),
);

t.test('root without CAP_BPF', (t) =>
  expectBlind(t, {
    name: 'CAP_BPF',
    wrap: ['setpriv', '--bounding-set=-bpf,-sys_admin'],
    reason: /root here lacks a capability.*CAP_BPF/,
  }),
);

t.test('no libbpf', (t) => {
  const library = realpathSync(
    execFileSync('sh', ['-c', "ldconfig -p | sed -n 's/.*libbpf.so.1 .*=> //p' | head -1"], {
      encoding: 'utf8',
    }).trim(),
  );
  const hide = 'mount --bind /dev/null "$0" && exec "$@"';
  return expectBlind(t, {
    name: 'no libbpf',
    wrap: [...MOUNTS, 'sh', '-c', hide, library],
    reason: /libbpf\.so\.1.*(apt|install|dnf)/,
  });
});

t.test('root without CAP_PERFMON: each probe says what it lacks', async (t) => {
  const socket = join(scratch(t), 'agent.sock');
  const agent = await startRaw(t, { socket, wrap: ['setpriv', '--bounding-set=-perfmon,-sys_admin'] });
  await agent.errorLine(READY, 60_000);
  const checks = await checksOf(socket);
  for (const probe of ['block', 'host', 'process', 'tcp', 'waits']) {
    const check = checks.find(({ name }) => name === `probe ${probe}`);
    t.match(check, { status: 'failed', detail: /EPERM/ }, probe);
  }
  const why = await ask(socket, 'why', String(process.pid));
  t.equal(why.code, 5);
  t.same(complaintFlaws(why.stderr, 'xctl why: '), []);
  agent.kill('SIGTERM');
  t.same(await agent.exited, { code: 0, signal: null }, agent.stderr.slice(-3).join(' '));
  t.same(stackFlaws(agent.stderr.join('\n')), []);
});

t.test('no BTF: nothing can be loaded, and it says where to get it', async (t) => {
  const socket = join(scratch(t), 'agent.sock');
  const hide = 'mount -t tmpfs none /sys/kernel/btf && exec "$@"';
  const agent = await startRaw(t, { socket, wrap: [...MOUNTS, 'sh', '-c', hide, 'sh'] });
  await agent.errorLine(READY, 30_000);
  const failed = (await checksOf(socket)).filter((check) => check.status === 'failed');
  const names = ['block', 'host', 'process', 'tcp', 'waits'].map((name) => `probe ${name}`);
  t.same(failed.map(({ name }) => name).sort(), names);
  for (const { name, detail } of failed) t.match(detail, /BTF/, name);
  const why = await ask(socket, 'why', String(process.pid));
  t.equal(why.code, 5);
  t.same(complaintFlaws(why.stderr, 'xctl why: '), []);
  t.same(stackFlaws(agent.stderr.join('\n')), []);
});

t.test('an object of another version is refused; the other probes run', async (t) => {
  const dir = scratch(t);
  const tree = join(dir, 'package');
  for (const part of ['bin', 'dist', 'package.json'])
    cpSync(join(ROOT, part), join(tree, part), { recursive: true });
  symlinkSync(join(ROOT, 'node_modules'), join(tree, 'node_modules'));
  buildOtherAbi(join(dir, 'source'), join(tree, 'dist', 'bpf', 'process.bpf.o'));

  const socket = join(dir, 'agent.sock');
  const agent = await startRaw(t, { socket, bin: join(tree, 'bin', 'xctl-agent') });
  await agent.errorLine(READY, 30_000);
  const checks = await checksOf(socket);
  const check = (name: string) => checks.find((one) => one.name === `probe ${name}`);
  t.match(check('process'), { status: 'failed', detail: /event ABI 99, this agent has \d+; install/ });
  for (const probe of ['tcp', 'waits']) t.match(check(probe), { status: /ok|degraded/ }, probe);
  t.same(stackFlaws(agent.stderr.join('\n')), []);
});

/** process.bpf.c as a package of another version would have it. */
function buildOtherAbi(source: string, to: string): void {
  mkdirSync(source);
  cpSync(join(ROOT, 'bpf'), join(source, 'bpf'), { recursive: true });
  const header = join(source, 'bpf', 'xctl_events.h');
  execFileSync('sed', ['-i', 's/^#define XCTL_ABI_VERSION .*/#define XCTL_ABI_VERSION 99/', header]);
  const flags = [
    '-g',
    '-O2',
    '-target',
    'bpf',
    '-mcpu=v3',
    '-D__TARGET_ARCH_x86',
    `-I${ROOT}`,
    `-I${dirname(header)}`,
  ];
  execFileSync('clang', [...flags, '-c', join(source, 'bpf', 'process.bpf.c'), '-o', to]);
}
