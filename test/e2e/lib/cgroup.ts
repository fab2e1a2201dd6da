/** Control groups of a test's own, by the file system. */
import { existsSync, mkdirSync, readdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isOrphan, OWN_PREFIX } from '../../lib/owner.js';
import type { Scope } from '../../lib/scope.js';
import { until } from '../../lib/until.js';

export interface Freezer {
  readonly name: string;
  /** Mount point of the hierarchy. */
  readonly root: string;
  readonly file: string;
  readonly freeze: string;
  readonly thaw: string;
}

const V1: Freezer = {
  name: 'version 1',
  root: '/sys/fs/cgroup/freezer',
  file: 'freezer.state',
  freeze: 'FROZEN',
  thaw: 'THAWED',
};

const V2: Freezer = {
  name: 'version 2',
  root: existsSync('/sys/fs/cgroup/cgroup.controllers') ? '/sys/fs/cgroup' : '/sys/fs/cgroup/unified',
  file: 'cgroup.freeze',
  freeze: '1',
  thaw: '0',
};

export const FREEZERS: readonly Freezer[] = [V1, V2];

/**
 * A new group below `root`, gone with the scope; the processes in it must be gone or moved by then, `leave` is called
 * for that. Groups of creators that are dead are removed first.
 */
export async function makeGroup(
  scope: Scope,
  root: string,
  name: string,
  leave: (group: string) => void = () => undefined,
): Promise<string> {
  for (const found of readdirSync(root)) if (isOrphan(found)) await sweep(join(root, found));
  const group = join(root, `${OWN_PREFIX}${name}`);
  mkdirSync(group);
  scope.teardown(() => {
    leave(group);
    rmdirSync(group);
  });
  return group;
}

/** A frozen group of version 1 keeps its processes from dying, even of SIGKILL. */
async function sweep(group: string): Promise<void> {
  for (const { file, thaw } of FREEZERS) {
    if (existsSync(join(group, file))) writeFileSync(join(group, file), thaw);
  }
  await until(() => !existsSync(group) || removed(group), { timeoutMs: 2000, what: `${group} to be empty` });
}

function removed(group: string): boolean {
  rmdirSync(group);
  return true;
}
