/**
 * Which program attached how on the running kernel: loads every object by the real loader and prints one JSON
 * document, `AttachReport`. Bundled and run inside a test guest; runs on any node as well.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';
import { Kernel } from '../../src/kernel/kernel.js';
import type { ProgramStatus } from '../../src/kernel/program.js';
import { messageOf } from '../../src/util/errors.js';
import { createLog } from '../../src/util/log.js';
import { ROOT } from '../lib/root.js';

export interface AttachReport {
  /** As `uname -r` prints it. */
  readonly release: string;
  readonly programs: readonly ProgramStatus[];
  /** Objects that did not load at all → why. */
  readonly failures: Readonly<Record<string, string>>;
}

/** Modules whose functions some programs hook in; a guest has those of its kernel. */
const MODULES = ['crc32_generic', 'ib_uverbs', 'rdma_ucm', 'rdma_rxe'];
if (existsSync('/run/xctl-vm')) {
  for (const module of MODULES) {
    try {
      execFileSync('modprobe', [module], { stdio: 'ignore' });
    } catch {
      // Then its programs are reported as what they are.
    }
  }
}

const bpfDir = join(ROOT, 'dist/bpf');
const kernel = await Kernel.open({ log: createLog('warn'), bpfDir });
const failures: Record<string, string> = {};
const programs: ProgramStatus[] = [];
// By source: an object that was not built is a failure, and a stale one is no object.
for (const file of readdirSync(join(ROOT, 'bpf')).sort()) {
  if (!file.endsWith('.bpf.c')) continue;
  const name = file.slice(0, -'.bpf.c'.length);
  try {
    const object = await kernel.load(name);
    programs.push(...object.programs);
    object.stop();
  } catch (error) {
    failures[name] = messageOf(error);
  }
}
kernel.stop();
const report: AttachReport = { release: release(), programs, failures };
process.stdout.write(`${JSON.stringify(report, null, 1)}\n`);
// The FFI's callbacks keep the event loop alive.
process.exit(0);
