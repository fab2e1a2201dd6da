/**
 * How the servers of NFS mounts answer, once a second, from counters that the client keeps (nfs-stats.ts).
 *
 * What is reliable of them, found by making servers silent and by ending them (6.1):
 * - `sends - receives` of a mount's connections is the number of requests under way plus those whose answer
 *   never comes: sent again (on a new connection, or by UDP), or given up because the caller was killed.
 *   These are counted as lost: as operations end that were sent twice, as callers die during a silence, and
 *   where far fewer requests were sent lately than seem to be under way. Too high a count corrects itself when
 *   the server has answered all; too low a one would call an idle server silent.
 * - Nothing is sent while a connection is down. What counts then are attempts to connect, which a client makes
 *   only for a request that waits; and a thread that waits uninterruptibly for the mount while no answer comes
 *   (`Mounts.heldMs`).
 *
 * So the time without an answer is a lower bound: it begins when one was first seen to be waited for.
 */
import { readFileSync } from 'node:fs';
import type { RpcAttrs } from '../events/storage.js';
import { isNfs } from './filesystem-kinds.js';
import type { Filesystem, Mounts } from './mounts.js';
import { type NfsCounters, parseMountstats } from './nfs-stats.js';

/** No answer for so long, and it is told of. */
const SILENT_MS = 1_000;
const HISTORY = 10;
/** Over so many times the usual round trip, and this much, it is far from its baseline. */
const FAR = 10;
const FAR_MS = 100;
const FEW_OPERATIONS = 3;
/** Requests in HISTORY seconds that make a quiet mount. */
const QUIET = 8;
/** Share of a new window in the baseline. */
const LEARN = 0.05;

export interface RpcReport {
  readonly fs: Filesystem;
  /** ms since the oldest request that is not answered was sent, as far as known. */
  readonly value: number;
  readonly attrs: RpcAttrs;
}

export interface Sample extends NfsCounters {
  readonly ts: number;
}

export class NfsWatch {
  readonly #procDir: string;
  readonly #mounts = new Map<number, ServerState>();

  constructor(procDir = '/proc') {
    this.#procDir = procDir;
  }

  /** NFS mounts known. */
  get watched(): number {
    return this.#mounts.size;
  }

  /** @param ts event time, ms */
  look(mounts: Mounts, ts: number, full: boolean): readonly RpcReport[] {
    const living = new Set<number>();
    const reports: RpcReport[] = [];
    for (const [ns, filesystems] of byNamespace(mounts.all())) {
      const pid = mounts.pidIn(ns);
      const read = pid === undefined ? [] : this.#read(pid);
      const counters = new Map(read.map((one) => [one.mountPoint, one]));
      for (const fs of filesystems) {
        living.add(fs.dev);
        const now = counters.get(fs.path);
        if (now === undefined) continue;
        const state = this.#mounts.get(fs.dev) ?? new ServerState();
        this.#mounts.set(fs.dev, state);
        const heldMs = mounts.heldMs(fs.dev);
        const heldTs = heldMs === undefined ? undefined : ts - heldMs;
        const told = state.add({ ...now, ts }, heldTs, full);
        if (told === undefined) continue;
        const server = fs.server ?? 'unknown';
        reports.push({ fs, value: told.value, attrs: { server, ...told.attrs } });
      }
    }
    for (const dev of this.#mounts.keys()) if (!living.has(dev)) this.#mounts.delete(dev);
    return reports;
  }

  #read(pid: number | 'self'): readonly NfsCounters[] {
    try {
      return parseMountstats(readFileSync(`${this.#procDir}/${pid}/mountstats`, 'utf8'));
    } catch {
      return []; // its process is gone: another one is found with the next scan
    }
  }
}

interface Told {
  readonly value: number;
  readonly attrs: Omit<RpcAttrs, 'server'>;
}

/** What is known of one mount's server, from sample to sample. */
export class ServerState {
  readonly #samples: Sample[] = [];
  /** Event time since which no answer has come that was waited for. */
  #answeredTs = 0;
  /** Of the last sample with an answer. */
  #heardTs = 0;
  /** Of the first attempt to connect since the last answer that has brought none. */
  #downTs: number | undefined;
  /** Of `sends - receives`: what will never be answered. */
  #lost = 0;
  #silent = false;
  #far = false;
  #baselineMs: number | undefined;

  /**
   * @param waitingTs event time since which threads have been seen to wait for the mount that still do
   * @returns what is to be told, if anything
   */
  add(now: Sample, waitingTs: number | undefined, full: boolean): Told | undefined {
    const before = this.#samples.at(-1);
    this.#samples.push(now);
    if (this.#samples.length > HISTORY) this.#samples.shift();
    if (before === undefined) this.#start(now);
    else this.#compare(before, now);

    const outstanding = now.sends - now.receives - this.#lost;
    const wasSilent = this.#silent;
    const wasFar = this.#far;
    const value = Math.max(
      outstanding > 0 ? now.ts - this.#answeredTs : 0,
      this.#downTs === undefined ? 0 : now.ts - this.#downTs,
      waitingTs === undefined ? 0 : now.ts - Math.max(waitingTs, this.#heardTs),
    );
    this.#silent = value >= SILENT_MS;
    this.#learn(before, now);
    if (!full && !this.#silent && !wasSilent && !this.#far && !wasFar) return undefined;
    // Each of the three ways to be silent means that one is waited for, whatever is counted as lost.
    const least = this.#silent ? 1 : 0;
    return { value: this.#silent ? value : 0, attrs: this.#attrs(now, Math.max(least, outstanding)) };
  }

  #start(now: Sample): void {
    this.#answeredTs = now.ts;
    this.#heardTs = now.ts;
    // Requests may be under way, and answers to others lost long ago: the first answers will tell.
    this.#lost = now.sends - now.receives;
  }

  #compare(before: Sample, now: Sample): void {
    const answers = now.receives - before.receives;
    const ended = now.operations - before.operations;
    const underWay = now.sends - now.receives;
    if (answers > 0) {
      this.#answeredTs = now.ts;
      this.#heardTs = now.ts;
      this.#downTs = undefined;
      // Sent again on the new connection: to the first sending nothing will come.
      if (now.connects !== before.connects) this.#lost = underWay;
      this.#lost += Math.max(0, now.transmissions - before.transmissions - ended);
      this.#capped(now, underWay);
    } else if (before.sends - before.receives <= this.#lost) {
      // Nothing was under way: a silence begins with what was sent since, at the earliest now.
      this.#answeredTs = now.ts;
    }
    // Not in the first second of a silence: what ends then may have been answered in the second before.
    if (answers <= 0 && ended > 0 && this.#heardTs < before.ts) this.#lost += ended;
    if (answers <= 0 && now.connects > before.connects) this.#downTs ??= now.ts;
    this.#lost = Math.min(this.#lost, underWay);
  }

  /** A quiet mount whose server answers cannot have more under way than was sent lately. */
  #capped(now: Sample, underWay: number): void {
    const first = this.#samples[0] ?? now;
    const sent = now.sends - first.sends;
    if (sent > QUIET) return;
    const most = Math.max(0, sent - (now.receives - first.receives));
    this.#lost = Math.max(this.#lost, underWay - most);
  }

  #learn(before: Sample | undefined, now: Sample): void {
    this.#far = false;
    const operations = now.operations - (before?.operations ?? now.operations);
    if (before === undefined || operations <= 0) return;
    const rtt = (now.rttMs - before.rttMs) / operations;
    const usual = this.#baselineMs;
    this.#far = usual !== undefined && operations >= FEW_OPERATIONS && rtt >= FAR_MS && rtt >= FAR * usual;
    if (!this.#far) this.#baselineMs = usual === undefined ? rtt : usual + LEARN * (rtt - usual);
  }

  #attrs(now: Sample, outstanding: number): Omit<RpcAttrs, 'server'> {
    const first = this.#samples[0] ?? now;
    const operations = now.operations - first.operations;
    return {
      outstanding,
      retransmits: Math.max(0, now.transmissions - now.operations),
      ...(operations > 0 && {
        rttMs: (now.rttMs - first.rttMs) / operations,
        execMs: (now.execMs - first.execMs) / operations,
      }),
      operations: Math.max(0, operations),
    };
  }
}

function byNamespace(all: readonly Filesystem[]): ReadonlyMap<number, readonly Filesystem[]> {
  const found = new Map<number, Filesystem[]>();
  for (const fs of all) {
    if (!isNfs(fs.fsType)) continue;
    const list = found.get(fs.ns) ?? [];
    list.push(fs);
    found.set(fs.ns, list);
  }
  return found;
}
