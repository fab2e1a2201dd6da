/** What a pass of the iterator `groups` wrote: each limited group once, with the processes that its limit holds. */
import type { ProcessRef } from '../events/event.js';
import {
  XctlCgroupCpuLayout,
  XctlCgroupMemoryLayout,
  XctlHdrLayout,
  XctlKind,
} from '../kernel/abi.generated.js';
import { readText } from '../kernel/abi-read.js';
import { forEachRecord, u64 } from './records.js';

const C = XctlCgroupCpuLayout;
const M = XctlCgroupMemoryLayout;

/** Of a group that does not limit it. */
const UNLIMITED = 2 ** 64;
const MEMBERS_MAX = 256;

interface Told<K extends string, Counts> {
  readonly kind: K;
  /** Of the group, in its hierarchy. */
  readonly id: number;
  /** `parent/leaf`, each cut at 63 bytes. */
  readonly name: string;
  /** Groups between the first member's own and this one. */
  readonly levels: number;
  /** Since the group was made. */
  readonly counts: Counts;
  readonly members: ProcessRef[];
}

export interface CpuCounts {
  readonly periods: number;
  readonly throttledPeriods: number;
  readonly throttledMs: number;
}

export interface MemoryCounts {
  readonly highEvents: number;
  readonly maxEvents: number;
  readonly oomEvents: number;
  readonly oomKills: number;
}

export interface CpuGroup extends Told<'cpu', CpuCounts> {
  readonly quotaMs: number;
  readonly periodMs: number;
}

export interface MemoryGroup extends Told<'memory', MemoryCounts> {
  readonly usageBytes: number;
  readonly limitBytes: number | undefined;
  readonly highBytes: number | undefined;
}

export type LimitedGroup = CpuGroup | MemoryGroup;

/** @returns by kind and id: two hierarchies of version 1 number their groups alike. */
export function readGroups(bytes: Buffer): Map<string, LimitedGroup> {
  const groups = new Map<string, LimitedGroup>();
  forEachRecord(bytes, (view, at) => {
    const kind = view.getUint16(at + XctlHdrLayout.kind, true);
    if (kind === XctlKind.CGROUP_CPU) {
      const key = `cpu:${u64(view, at + C.cgroupId)}`;
      addMember(groups, key, view, at, at + C.startNs, cpuGroup);
    } else if (kind === XctlKind.CGROUP_MEMORY) {
      const key = `memory:${u64(view, at + M.cgroupId)}`;
      addMember(groups, key, view, at, at + M.startNs, memoryGroup);
    }
  });
  return groups;
}

function addMember(
  groups: Map<string, LimitedGroup>,
  key: string,
  view: DataView,
  at: number,
  startAt: number,
  make: (view: DataView, at: number) => LimitedGroup,
): void {
  let group = groups.get(key);
  if (group === undefined) {
    group = make(view, at);
    groups.set(key, group);
  }
  if (group.members.length >= MEMBERS_MAX) return;
  group.members.push({ pid: view.getUint32(at + XctlHdrLayout.pid, true), start: u64(view, startAt) });
}

function cpuGroup(view: DataView, at: number): CpuGroup {
  return {
    kind: 'cpu',
    id: u64(view, at + C.cgroupId),
    name: readText(view, at + C.cgroup, C.sizeBytes - C.cgroup),
    levels: view.getUint32(at + C.levels, true),
    quotaMs: u64(view, at + C.quotaNs) / 1e6,
    periodMs: u64(view, at + C.periodNs) / 1e6,
    counts: {
      periods: u64(view, at + C.periods),
      throttledPeriods: u64(view, at + C.throttledPeriods),
      throttledMs: u64(view, at + C.throttledNs) / 1e6,
    },
    members: [],
  };
}

function memoryGroup(view: DataView, at: number): MemoryGroup {
  return {
    kind: 'memory',
    id: u64(view, at + M.cgroupId),
    name: readText(view, at + M.cgroup, M.sizeBytes - M.cgroup),
    levels: view.getUint32(at + M.levels, true),
    usageBytes: u64(view, at + M.usageBytes),
    limitBytes: limit(u64(view, at + M.limitBytes)),
    highBytes: limit(u64(view, at + M.highBytes)),
    counts: {
      highEvents: u64(view, at + M.highEvents),
      maxEvents: u64(view, at + M.maxEvents),
      oomEvents: u64(view, at + M.oomEvents),
      oomKills: u64(view, at + M.oomKills),
    },
    members: [],
  };
}

function limit(bytes: number): number | undefined {
  return bytes >= UNLIMITED ? undefined : bytes;
}
