/** Control groups by their files in /proc: full paths, and which version of the interface a controller is in. */
import { readFileSync } from 'node:fs';
import type { LimitedGroup } from './host-records.js';
import { readCgroup } from './proc.js';

/** `parent` and `leaf` come from the kernel cut at this many bytes. */
const NAME_BYTES = 63;

/**
 * The full path of a limited group, by that of one of its processes: the kernel part says how many
 * levels lie between. Undefined when the process has gone or moved, so that the names disagree.
 */
export function groupPath(group: LimitedGroup, read: typeof readCgroup = readCgroup): string | undefined {
  const [member] = group.members;
  const text = member === undefined ? undefined : read(member.pid);
  const own = text === undefined ? undefined : pathIn(text, group.kind);
  if (own === undefined) return undefined;
  const words = own.split('/').filter((word) => word !== '');
  const path = words.slice(0, Math.max(0, words.length - group.levels));
  return endsIn(path, group.name) ? `/${path.join('/')}` : undefined;
}

/** From /proc/PID/cgroup: the path in the controller's own hierarchy (version 1), else in that of version 2. */
export function pathIn(text: string, controller: string): string | undefined {
  let v2: string | undefined;
  for (const line of text.split('\n')) {
    const [hierarchy, controllers, ...rest] = line.split(':');
    if (controllers === undefined || rest.length === 0) continue;
    // An agent in a cgroup namespace of its own sees others as /../../kubepods/…
    const path = rest.join(':').replace(/^(?:\/\.\.)+(?=\/|$)/, '');
    if (controllers.split(',').includes(controller)) return path;
    if (hierarchy === '0' && controllers === '') v2 = path;
  }
  return v2;
}

function endsIn(path: readonly string[], name: string): boolean {
  const end = name.split('/').filter((word) => word !== '');
  if (end.length > path.length) return false;
  const own = path.slice(path.length - end.length);
  return end.every((word, i) =>
    Buffer.from(own[i] ?? '')
      .subarray(0, NAME_BYTES)
      .toString()
      .startsWith(word),
  );
}

/** `cpu in version 1, memory in version 2`, by /proc/cgroups; a controller that is not there has no version. */
export function versionsOf(text: string): string {
  const versions = ['cpu', 'memory'].map((controller) => {
    const [, hierarchy] =
      text
        .split('\n')
        .find((line) => line.startsWith(`${controller}\t`))
        ?.split('\t') ?? [];
    return hierarchy === undefined
      ? `no ${controller} controller`
      : `${controller} in version ${hierarchy === '0' ? 2 : 1}`;
  });
  return versions.join(', ');
}

export function cgroupVersions(path = '/proc/cgroups'): string {
  try {
    return versionsOf(readFileSync(path, 'utf8'));
  } catch {
    return 'this kernel has no control groups';
  }
}
