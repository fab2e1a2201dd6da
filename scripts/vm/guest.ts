/**
 * One guest, one command: QEMU under TCG (nested KVM hangs on many machines), the host's root shared read-only,
 * one directory shared for results. The guest switches itself off; one that does not is killed. Two guests are joined
 * by network cards whose packets go over a unix socket.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Scope } from '../../test/lib/scope.js';
import type { VmKernel } from './kernels.js';

export interface GuestRun {
  readonly kernel: VmKernel;
  readonly initramfs: string;
  /** Emptied first; then holds console, stdout, stderr, dmesg and what the command writes to RESULTS. */
  readonly dir: string;
  /** A line for `sh`; its working directory is `/`. */
  readonly command: string;
  readonly timeoutMs: number;
  readonly nics?: readonly Nic[];
  /**
   * Its clock counts the instructions that it executes, and no time passes while it has none: what the machine does
   * besides is not measured along. It has one CPU: with two it does not get through its boot.
   */
  readonly clock?: 'instructions';
  /** Ends it before it ends itself. */
  readonly signal?: AbortSignal;
}

export interface Nic {
  /** A wire: one guest listens there, and another one connects. */
  readonly socket: string;
  readonly listens: boolean;
  readonly mac: string;
}

export interface GuestEnd {
  /** The command's; null when the guest did not come so far. */
  readonly exitCode: number | null;
  /** Why there is no exit code, with the console's last lines. */
  readonly failure: string | null;
  /** By the guest's clock, until the command was started; null when it never was. */
  readonly bootSeconds: number | null;
  readonly wallMs: number;
}

/** Where the guest sees `dir`. */
export const RESULTS = '/run/xctl-vm/out';

const MEMORY_MIB = 3072;
const CPUS = 2;

export async function runGuest(scope: Scope, run: GuestRun): Promise<GuestEnd> {
  const { dir } = run;
  rmSync(dir, { recursive: true, force: true });
  mkdirSync(dir, { recursive: true });
  writeFileSync(join(dir, 'command'), `${run.command}\n`);
  const began = performance.now();
  // It must not outlive this process, however that ends.
  const words = ['--pdeathsig', 'KILL', 'nice', '-n', '10', 'qemu-system-x86_64', ...qemuArguments(run)];
  const qemu = spawn('setpriv', words, { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  qemu.stderr.setEncoding('utf8').on('data', (text: string) => {
    said = `${said}${text}`.slice(-4000);
  });
  const closed = once(qemu, 'close');
  const stop = (): void => void qemu.kill('SIGKILL');
  run.signal?.addEventListener('abort', stop);
  let late = false;
  const limit = setTimeout(() => {
    late = true;
    qemu.kill('SIGKILL');
  }, run.timeoutMs);
  scope.teardown(async () => {
    if (qemu.exitCode !== null || qemu.signalCode !== null) return;
    qemu.kill('SIGKILL');
    await closed;
  });
  await closed;
  clearTimeout(limit);
  run.signal?.removeEventListener('abort', stop);

  const number = (name: string): number | null => {
    const path = join(dir, name);
    const text = existsSync(path) ? readFileSync(path, 'utf8').trim() : '';
    return text === '' ? null : Number(text);
  };
  const exitCode = number('exit-code');
  const why = late ? `did not end within ${run.timeoutMs / 1000} s` : `QEMU ended early: ${said.trim()}`;
  return {
    exitCode,
    failure: exitCode === null ? `${why}\n${consoleTail(dir)}` : null,
    bootSeconds: number('booted'),
    wallMs: performance.now() - began,
  };
}

function consoleTail(dir: string): string {
  const path = join(dir, 'console');
  if (!existsSync(path)) return '';
  return readFileSync(path, 'utf8').replaceAll('\r', '').trim().split('\n').slice(-15).join('\n');
}

function qemuArguments({ kernel, initramfs, dir, nics = [], clock }: GuestRun): string[] {
  const share = (path: string, tag: string, access: string): string[] => [
    '-virtfs',
    `local,path=${comma(path)},mount_tag=${tag},security_model=none,multidevs=remap${access}`,
  ];
  return [
    ...(clock === undefined
      ? ['-accel', 'tcg,thread=multi']
      : ['-accel', 'tcg,thread=single', '-icount', 'shift=1,sleep=off']),
    ...['-cpu', 'max', '-smp', String(clock === undefined ? CPUS : 1), '-m', String(MEMORY_MIB)],
    ...['-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot'],
    ...['-kernel', kernel.vmlinuz, '-initrd', initramfs],
    // A kernel that oopses ends the guest: panic, reboot, and -no-reboot.
    ...[
      '-append',
      `console=ttyS0 loglevel=5 panic=-1 oops=panic mitigations=off nokaslr${clock === undefined ? '' : ` xctl.clock=${clock}`}`,
    ],
    ...['-chardev', `file,id=console,path=${comma(join(dir, 'console'))}`, '-serial', 'chardev:console'],
    ...share('/', 'host', ',readonly=on'),
    ...share(dir, 'out', ''),
    ...nics.flatMap(({ socket, listens, mac }, index) => [
      ...[
        '-netdev',
        `stream,id=nic${index},server=${listens ? 'on' : 'off'},addr.type=unix,addr.path=${comma(socket)}`,
      ],
      // No boot ROM: its package may not be there.
      ...['-device', `virtio-net-pci,netdev=nic${index},mac=${mac},romfile=`],
    ]),
  ];
}

/** In QEMU's option lists a comma is written twice. */
function comma(path: string): string {
  return path.replaceAll(',', ',,');
}
