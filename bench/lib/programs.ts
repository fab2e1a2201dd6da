/**
 * BPF programs that are loaded once and attached and detached again and again: to load them anew each time disturbs more
 * than they do. Their records go into rings of their own, which are read when they are off: a program that finds its
 * ring full does less.
 */
import type { Libbpf, LinkHandle, ObjectHandle } from '../../src/ffi/libbpf.js';
import type { Kernel } from '../../src/kernel/kernel.js';
import { Ring } from '../../src/kernel/ring.js';
import { readFdInfo } from '../../src/kernel/prog-stats.js';
import { rungOf, slotOf } from '../../src/kernel/slots.js';
import type { OpenScope } from '../../test/lib/scope.js';
import type { Switch } from './windows.js';

export interface Programs extends Switch {
  /** What they took so far by the kernel's own account, all together, which it keeps only while it is told to (`Libbpf.enableStats`). */
  runTimeNs(): number;
}

const RINGS: ReadonlySet<string> = new Set(['xctl_events', 'xctl_critical']);

/** Those of `path` that `chosen` names. @throws Error when they cannot be loaded */
export function programs(
  scope: OpenScope,
  bpf: Libbpf,
  path: string,
  chosen: (program: string, section: string) => boolean,
): Programs {
  const object = bpf.openObject(path);
  scope.teardown(() => bpf.closeObject(object));
  const all = bpf.programs(object);
  const ours = all.filter((program) => chosen(bpf.programName(program), bpf.sectionName(program)));
  for (const program of all) bpf.setAutoload(program, ours.includes(program));
  const errno = bpf.loadObject(object);
  if (errno !== 0 || ours.length === 0) throw new Error(`${path} cannot be loaded here (${errno})`);
  const rings = ringsOf(bpf, object);
  let links: LinkHandle[] = [];
  const off = (): void => {
    for (const link of links) bpf.destroyLink(link);
    links = [];
    for (const ring of rings) ring.drain(() => {});
  };
  scope.teardown(off);
  return {
    on: () => {
      if (links.length === 0) links = ours.map((program) => bpf.attach(program));
    },
    off,
    runTimeNs: () => {
      const seconds = ours.map((program) => readFdInfo(bpf.programFd(program))?.runTimeSeconds ?? 0);
      return seconds.reduce((sum, one) => sum + one, 0) * 1e9;
    },
  };
}

/** Of an object of the agent's those that its loader attaches here, but iterators, which run when they are asked. */
export async function loadersChoice(scope: OpenScope, kernel: Kernel, name: string): Promise<Switch> {
  const loaded = await kernel.load(name);
  const attached = new Map(loaded.programs.map(({ slot, rung, attached }) => [slot, attached ? rung : null]));
  loaded.stop();
  return programs(scope, kernel.bpf, `dist/bpf/${name}.bpf.o`, (program, section) => {
    const rung = rungOf(section);
    return rung !== 'iter' && rung !== 'iter_s' && attached.get(slotOf(program)) === rung;
  });
}

function ringsOf(bpf: Libbpf, object: ObjectHandle): readonly Ring[] {
  return bpf
    .maps(object)
    .filter((map) => RINGS.has(bpf.mapName(map)))
    .map((map) => Ring.map(bpf.mapFd(map), bpf.mapInfo(map).maxEntries));
}

/** Several as one. */
export function together(switches: readonly Switch[]): Switch {
  return {
    on: async () => {
      for (const one of switches) await one.on();
    },
    off: async () => {
      for (const one of switches) await one.off();
    },
  };
}
