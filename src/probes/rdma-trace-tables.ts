/**
 * What was posted, as events: the kernel's table of posts, read once a second.
 *
 * A completion is seen by nobody: the program finds it in memory that the device writes. Only rxe tells, since its send
 * queue is the kernel's too: what is in it is outstanding. For other drivers there are the counts and the time of the
 * last post, and no more.
 */
import type { Event } from '../events/event.js';
import { qpId } from '../events/ids.js';
import {
  decodeXctlPosts,
  decodeXctlPostsKey,
  type XctlPosts,
  XctlVerbsClass,
} from '../kernel/abi.generated.js';
import type { BootClock } from '../kernel/clock.js';
import type { BpfMap, LoadedObject } from '../kernel/program.js';
import { isSame } from './proc.js';
import { OldestPost } from './rdma-trace-oldest.js';
import { u64 } from './records.js';

/** RDMA_DRIVER_RXE */
const RXE = 14;
/** Walks after which the kernel is believed that it has no such queue pair. */
const MAX_ASKED = 3;
/** What the kernel takes for a device's name. */
const DEVICE_NAME = /^[\w.:-]{1,63}$/;

interface KnownQp {
  /** It is another queue pair when this has changed. */
  readonly qpn: number;
  /** At the last look, of this one and of what it told. */
  posts: number;
  bytes: number;
  figures: string;
  asked: number;
  readonly oldest: OldestPost;
}

export interface TablesContext {
  readonly clock: BootClock;
  readonly sink: (event: Event) => void;
  /** Whether posts that come by this attachment are counted. */
  readonly counts: (source: number) => boolean;
  /** Whether the kernel can tell which queue pairs there are. */
  readonly proves: () => boolean;
}

export class PostTables {
  readonly #context: TablesContext;
  readonly #posts: BpfMap;
  readonly #calls: BpfMap;
  readonly #value: DataView;
  readonly #perCpu: DataView;
  #known = new Map<string, KnownQp>();
  #walk = new Set<number>();
  #lookedAt: number | undefined;
  #ended = false;
  /** Queue pairs that only the process speaks of, and that were not told. */
  unproven = 0;

  constructor(object: LoadedObject, context: TablesContext) {
    this.#context = context;
    this.#posts = object.map('xctl_posts');
    this.#calls = object.map('xctl_verbs_calls');
    this.#value = new DataView(new ArrayBuffer(this.#posts.lookupSizeBytes));
    this.#perCpu = new DataView(new ArrayBuffer(this.#calls.lookupSizeBytes));
  }

  /** Queue pairs that were posted to. */
  get qps(): number {
    return this.#known.size;
  }

  /** Processes whose queue pairs should be walked before the next look. */
  get wanted(): readonly number[] {
    return [...this.#walk];
  }

  /** Tells what has changed. @param full all of it */
  pass(full: boolean): void {
    const ts = this.#context.clock.toEpochMs(this.#context.clock.nowNs());
    const windowMs = Math.max(1, ts - (this.#lookedAt ?? ts));
    const known = new Map<string, KnownQp>();
    this.#walk = new Set();
    for (const key of this.#posts.keys()) {
      if (!this.#posts.lookup(key, bytesOf(this.#value))) continue;
      const value = decodeXctlPosts(this.#value, 0);
      const name = Buffer.from(key).toString('latin1');
      const before = this.#known.get(name);
      const qp = before?.qpn === value.qpn && before.posts <= value.posts ? before : freshQp(value.qpn);
      known.set(name, qp);
      this.#tell(ts, windowMs, viewOf(key), value, qp, full);
    }
    this.#known = known;
    this.#lookedAt = ts;
  }

  /** Nobody looks any more: whoever keeps what was told must know, since what is outstanding goes on to change. */
  end(): void {
    this.#ended = true;
    this.pass(false);
  }

  /** Posts so far, of all processes. */
  calls(): number {
    const key = new Uint8Array(4);
    new DataView(key.buffer).setUint32(0, XctlVerbsClass.POST, true);
    if (!this.#calls.lookup(key, bytesOf(this.#perCpu))) return 0;
    let sum = 0;
    for (let at = 0; at < this.#perCpu.byteLength; at += 8) sum += u64(this.#perCpu, at);
    return sum;
  }

  /** Takes out what belongs to processes that have ended. */
  sweep(): void {
    const alive = new Map<number, boolean>();
    for (const key of this.#posts.keys()) {
      const { pid, startNs } = decodeXctlPostsKey(viewOf(key), 0);
      const lives = alive.get(pid) ?? isSame(pid, startNs);
      alive.set(pid, lives);
      if (!lives) this.#posts.delete(key);
    }
  }

  #tell(ts: number, windowMs: number, key: DataView, value: XctlPosts, qp: KnownQp, full: boolean): void {
    const { pid, startNs: start } = decodeXctlPostsKey(key, 0);
    const proven = value.known !== 0;
    if (!proven && this.#context.proves()) {
      if (qp.asked++ < MAX_ASKED) this.#walk.add(pid);
      else if (qp.asked === MAX_ASKED + 1) this.unproven++;
      return;
    }
    if (value.driver === RXE && value.posts > 0) this.#walk.add(pid);
    if (!DEVICE_NAME.test(value.device)) return;
    const last = value.lastNs > 0 ? this.#context.clock.toEpochMs(value.lastNs) : undefined;
    const outstanding = value.outstanding < 0 ? undefined : value.outstanding;
    const oldest = qp.oldest.note({
      posts: value.posts,
      outstanding: value.outstanding,
      cut: value.cut > 0,
      last: last ?? ts,
    });
    const stopped = this.#ended || !this.#context.counts(value.source);
    const posts = value.posts - qp.posts;
    const bytes = value.bytes - qp.bytes;
    const figures = `${value.posts} ${outstanding} ${oldest} ${stopped}`;
    qp.posts = value.posts;
    qp.bytes = value.bytes;
    if (!full && qp.figures === figures) return;
    qp.figures = figures;
    this.#context.sink({
      ts,
      type: 'rdma.posts',
      entity: qpId(value.device, value.qpn),
      pid,
      value: posts,
      probe: 'rdma-trace',
      attrs: {
        device: value.device,
        qpn: value.qpn,
        start,
        windowMs,
        posts,
        bytes,
        totalPosts: value.posts,
        ...(outstanding !== undefined && { outstanding }),
        ...(oldest !== undefined && { oldest }),
        ...(last !== undefined && { last }),
        ...(stopped && { stopped: true as const }),
      },
    });
  }
}

function freshQp(qpn: number): KnownQp {
  return { qpn, posts: 0, bytes: 0, figures: '', asked: 0, oldest: new OldestPost() };
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function bytesOf(view: DataView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}
