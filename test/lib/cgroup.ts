/**
 * Control groups of a test's own, in version 1 or 2 of the interface, whichever has the controller here.
 *
 *     const group = await makeCgroup(t, 'memory', 'limited');
 *     group.limitMemory(64 << 20);
 *     await startWorkload(t, 'memory_hog', {}, { wrap: group.wrap });
 *
 * A group is empty and gone when its scope ends, and whoever makes one first removes those of creators that died.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isOrphan, OWN_PREFIX } from './owner.js';
import type { Scope } from './scope.js';
import { until } from './until.js';

/** By their names in version 1; `blkio` is `io` in version 2, and every group of that can be frozen. */
export type Controller = 'cpu' | 'memory' | 'freezer' | 'blkio';

const V2_ROOT = existsSync('/sys/fs/cgroup/cgroup.controllers') ? '/sys/fs/cgroup' : '/sys/fs/cgroup/unified';

export interface Cgroup {
  readonly version: 1 | 2;
  readonly controller: Controller;
  /** Directory. */
  readonly dir: string;
  /** From the root of its hierarchy, as in /proc/PID/cgroup. */
  readonly path: string;
  /** Put before a command: it enters the group and then becomes the command, under the same pid. */
  readonly wrap: readonly string[];
  read(file: string): string;
  write(file: string, value: string | number): void;
  /** A number of a file with lines `name value`, like cpu.stat. */
  stat(file: string, name: string): number;
  add(pid: number): void;
  /** A group below; one that has some must have no processes itself (version 2). */
  child(name: string): Cgroup;
  /** CPU time that it may use in each period. */
  limitCpu(quotaMs: number, periodMs: number): void;
  /** Share of CPU time against its siblings; 100 is the usual one. */
  weigh(weight: number): void;
  limitMemory(bytes: number): void;
  /** Reclaim from there on: version 2 only. */
  reclaimAt(bytes: number): void;
  freeze(frozen: boolean): void;
}

/** Where the controller is, or why a test that needs it must be skipped. */
function hierarchy(controller: Controller): { readonly root: string; readonly version: 1 | 2 } | undefined {
  const v1 = `/sys/fs/cgroup/${controller}`;
  if (existsSync(`${v1}/cgroup.sane_behavior`)) return { root: v1, version: 1 };
  const file = join(V2_ROOT, 'cgroup.controllers');
  if (!existsSync(file)) return undefined;
  const has =
    controller === 'freezer' || readFileSync(file, 'utf8').trim().split(' ').includes(v2Name(controller));
  return has ? { root: V2_ROOT, version: 2 } : undefined;
}

function v2Name(controller: Controller): string {
  return controller === 'blkio' ? 'io' : controller;
}

/** For `t.test(name, { skip })`: false, or what is missing. `version`: only that one will do. */
export function cgroupSkip(controller: Controller, version?: 1 | 2): false | string {
  const found = hierarchy(controller);
  if (found !== undefined && (version === undefined || found.version === version)) return false;
  return `no cgroup ${controller} controller${version === undefined ? '' : ` of version ${version}`} here`;
}

/** @throws Error where the kernel has no such controller: ask `cgroupSkip` first. */
export async function makeCgroup(scope: Scope, controller: Controller, name: string): Promise<Cgroup> {
  const found = hierarchy(controller);
  if (found === undefined) throw new Error(`no cgroup controller ${controller} here`);
  const { root, version } = found;
  for (const other of readdirSync(root)) if (isOrphan(other)) await clear(join(root, other));
  if (version === 2) enable(root, controller);
  const dir = join(root, `${OWN_PREFIX}${name}`);
  mkdirSync(dir);
  scope.teardown(() => clear(dir));
  return new Group(root, dir, version, controller);
}

/** Version 2 gives a controller to the groups below by name. */
function enable(dir: string, controller: Controller): void {
  if (controller !== 'freezer') writeFileSync(join(dir, 'cgroup.subtree_control'), `+${v2Name(controller)}`);
}

class Group implements Cgroup {
  readonly version: 1 | 2;
  readonly controller: Controller;
  readonly dir: string;
  readonly path: string;
  readonly wrap: readonly string[];
  readonly #root: string;

  constructor(root: string, dir: string, version: 1 | 2, controller: Controller) {
    this.#root = root;
    this.dir = dir;
    this.version = version;
    this.controller = controller;
    this.path = dir.slice(root.length);
    // 0 is whoever writes it.
    this.wrap = ['/bin/sh', '-c', 'echo 0 > "$0/cgroup.procs" && exec "$@"', dir];
  }

  read(file: string): string {
    return readFileSync(join(this.dir, file), 'utf8').trim();
  }

  write(file: string, value: string | number): void {
    writeFileSync(join(this.dir, file), String(value));
  }

  stat(file: string, name: string): number {
    const line = this.read(file)
      .split('\n')
      .find((one) => one.startsWith(`${name} `));
    if (line === undefined) throw new Error(`no ${name} in ${this.dir}/${file}`);
    return Number(line.slice(name.length + 1));
  }

  add(pid: number): void {
    this.write('cgroup.procs', pid);
  }

  child(name: string): Cgroup {
    if (this.version === 2) enable(this.dir, this.controller);
    const dir = join(this.dir, name);
    mkdirSync(dir);
    return new Group(this.#root, dir, this.version, this.controller);
  }

  limitCpu(quotaMs: number, periodMs: number): void {
    const [quota, period] = [Math.round(quotaMs * 1000), Math.round(periodMs * 1000)];
    if (this.version === 2) {
      this.write('cpu.max', `${quota} ${period}`);
      return;
    }
    this.write('cpu.cfs_period_us', period);
    this.write('cpu.cfs_quota_us', quota);
  }

  weigh(weight: number): void {
    if (this.version === 2) this.write('cpu.weight', weight);
    else this.write('cpu.shares', Math.max(2, Math.round((weight * 1024) / 100)));
  }

  limitMemory(bytes: number): void {
    this.write(this.version === 2 ? 'memory.max' : 'memory.limit_in_bytes', bytes);
  }

  reclaimAt(bytes: number): void {
    this.write('memory.high', bytes);
  }

  freeze(frozen: boolean): void {
    if (this.version === 2) this.write('cgroup.freeze', frozen ? 1 : 0);
    else this.write('freezer.state', frozen ? 'FROZEN' : 'THAWED');
  }
}

/** Thaws, kills and removes a group and all below it; a frozen one of version 1 would outlive SIGKILL. */
async function clear(dir: string): Promise<void> {
  await until(() => !existsSync(dir) || tryClear(dir), { timeoutMs: 5000, what: `${dir} to be empty` });
}

function tryClear(dir: string): boolean {
  for (const { file, thaw } of FREEZERS)
    if (existsSync(join(dir, file))) writeFileSync(join(dir, file), thaw);
  for (const entry of readdirSync(dir, { withFileTypes: true })) {
    if (entry.isDirectory()) tryClear(join(dir, entry.name));
  }
  for (const pid of readFileSync(join(dir, 'cgroup.procs'), 'utf8').split('\n')) {
    if (Number(pid) > 1) kill(Number(pid));
  }
  rmdirSync(dir);
  return true;
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}

export interface Freezer {
  readonly name: string;
  /** Mount point of the hierarchy. */
  readonly root: string;
  readonly file: string;
  readonly freeze: string;
  readonly thaw: string;
}

/** Both kinds, for a test that runs on each. */
export const FREEZERS: readonly Freezer[] = [
  {
    name: 'version 1',
    root: '/sys/fs/cgroup/freezer',
    file: 'freezer.state',
    freeze: 'FROZEN',
    thaw: 'THAWED',
  },
  { name: 'version 2', root: V2_ROOT, file: 'cgroup.freeze', freeze: '1', thaw: '0' },
];

/**
 * A new group right below `root`, without limits; `leave` is called before its processes are killed, for those that
 * are not the group's own.
 */
export async function makeGroup(
  scope: Scope,
  root: string,
  name: string,
  leave: (group: string) => void = () => undefined,
): Promise<string> {
  for (const found of readdirSync(root)) if (isOrphan(found)) await clear(join(root, found));
  const group = join(root, `${OWN_PREFIX}${name}`);
  mkdirSync(group);
  scope.teardown(async () => {
    leave(group);
    await clear(group);
  });
  return group;
}
