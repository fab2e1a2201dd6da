/** A directory for the mounts of a test: all of them are gone when the scope ends, or when the next test finds them. */
import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { parseMountinfo } from '../../../src/probes/mountinfo.js';
import { isOrphan, OWN_PREFIX } from '../../lib/owner.js';
import type { Scope } from '../../lib/scope.js';

const run = promisify(execFile);
const BASE = '/run';

export async function mounted(scope: Scope): Promise<string> {
  for (const name of readdirSync(BASE))
    if (isOrphan(name) && name.includes('-mnt-')) await remove(join(BASE, name)).catch(() => undefined);
  const dir = mkdtempSync(join(BASE, `${OWN_PREFIX}mnt-`));
  scope.teardown(() => remove(dir));
  return dir;
}

/** Attaches a file of this size as a loop device, makes ext4 on it and mounts it at `at`. */
export async function mountExt4(
  scope: Scope,
  image: string,
  at: string,
  options: { readonly sizeMib: number; readonly mkfs?: readonly string[]; readonly mount?: string },
): Promise<string> {
  await run('truncate', ['-s', `${options.sizeMib}M`, image]);
  await run('mkfs.ext4', ['-q', '-F', ...(options.mkfs ?? []), image]);
  const device = (await run('losetup', ['--find', '--show', image])).stdout.trim();
  try {
    await run('mount', [
      '-t',
      'ext4',
      ...(options.mount === undefined ? [] : ['-o', options.mount]),
      device,
      at,
    ]);
    scope.teardown(() => run('umount', ['-l', at]).catch(() => undefined));
  } finally {
    // It goes by itself with the last who uses it: also when nobody is left to clean up.
    await run('losetup', ['--detach', device]);
  }
  return device;
}

async function remove(dir: string): Promise<void> {
  // Last mounted first; by the kernel's own text, so that hostile names are right.
  const lines = [...parseMountinfo(readFileSync('/proc/self/mountinfo', 'utf8'))].reverse();
  for (const { mountPoint } of lines) {
    if (mountPoint !== dir && !mountPoint.startsWith(`${dir}/`)) continue;
    await run('umount', ['-l', '-i', mountPoint]);
  }
  rmSync(dir, { recursive: true, force: true });
}
