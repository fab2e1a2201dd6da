/**
 * Probe `filesystem`: what is mounted, what has become read-only or full, how file servers answer, and who has
 * files open on what is in trouble.
 *
 * Once a second, and at every `why`, the mount table is read and compared with the last one. Nothing here waits
 * for a filesystem: see filesystem-space.ts for how their fill is learnt, nfs.ts for their servers.
 */
import type { EventOf } from '../events/event.js';
import type { BlockDeviceAttrs, MountAttrs } from '../events/storage.js';
import type { LoadedObject } from '../kernel/program.js';
import { type Beat, every } from '../util/beat.js';
import type { Check } from '../util/check.js';
import { messageOf } from '../util/errors.js';
import { Ext4Errors } from './filesystem-errors.js';
import { isPseudo } from './filesystem-kinds.js';
import { type AskSpace, type Space, SpaceWatch } from './filesystem-space.js';
import { FileUsers } from './filesystem-users.js';
import { parseDevice } from './mountinfo.js';
import { devText, type Filesystem, type MountChanges, Mounts } from './mounts.js';
import { NfsWatch } from './nfs.js';
import { Passes } from './passes.js';
import type { Probe, ProbeContext } from './probe.js';
import { programChecks } from './program-checks.js';

const PASS_MS = 1_000;
/** A pass takes this share of the time at most: a node with thousands of mounts is looked at less often. */
const MAX_SHARE = 0.0005;
const MAX_PASS_MS = 5_000;
const SPACE_TICK_MS = 1_000;
/** Between the first two looks at who uses the same thing while it stays in trouble; then twice as long, and so on. */
const USERS_MS = 500;
const MAX_USERS_MS = 10_000;
/** In trouble no longer: the next look is a first one. */
const QUIET_MS = 60_000;
/** Who asks why wants to know who uses it now; not each of many who ask at once. */
const USERS_FRESH_MS = 200;
const MAX_ASKED = 1_024;

const WITHOUT = { users: 'who has files open on a failing device or a full filesystem is not known' };

interface Asked {
  readonly atMs: number;
  /** Until the next look at the earliest. */
  readonly gapMs: number;
  /** The number of a device that was removed. */
  readonly removed: number | undefined;
  /** Found then. */
  readonly users: number;
}

export interface FilesystemOptions {
  /** statfs(2), for tests. */
  readonly ask?: AskSpace;
}

export class FilesystemProbe implements Probe {
  readonly name = 'filesystem';
  readonly stats: Passes;
  /** Looks at who uses what. */
  readonly #asks: Passes;
  readonly #context: ProbeContext;
  readonly #mounts: Mounts;
  readonly #space: SpaceWatch;
  readonly #nfs: NfsWatch;
  readonly #ext4: Ext4Errors;
  /** Entity → when its users were looked for. */
  readonly #asked = new Map<string, Asked>();
  #object: LoadedObject | undefined;
  #users: FileUsers | undefined;
  #failure: string | undefined;
  #running = false;
  #timers: Beat[] = [];
  #nextMs = 0;
  /** What a pass takes, ms. */
  #usualMs = 0;
  #filesystems = 0;

  constructor(context: ProbeContext, mounts: Mounts = new Mounts(), options: FilesystemOptions = {}) {
    this.#context = context;
    this.stats = new Passes('mounts', context.log);
    this.#asks = new Passes('files', context.log);
    this.#mounts = mounts;
    const told = (fs: Filesystem, space: Space): void => this.#spaceTold(fs, space);
    this.#space = new SpaceWatch(told, (fs) => mounts.pathOf(fs), options.ask);
    this.#nfs = new NfsWatch(mounts.procDir);
    this.#ext4 = new Ext4Errors(mounts.procDir, mounts.sysDir);
  }

  async start(): Promise<void> {
    this.#running = true;
    try {
      this.#object = await this.#context.kernel.load('files');
      this.#users = new FileUsers(this.#object, this.#mounts);
    } catch (error) {
      // Mounts, space and servers are known without it.
      this.#failure = messageOf(error);
    }
    this.pass(true);
    this.#timers = [
      every(PASS_MS, () => {
        if (performance.now() >= this.#nextMs) this.pass(false);
      }),
      every(SPACE_TICK_MS, () => this.#space.tick()),
    ];
  }

  stop(): void {
    this.#running = false;
    for (const timer of this.#timers) timer.stop();
    this.#timers = [];
    this.#space.stop();
    this.#users = undefined;
    this.#object?.stop();
    this.#object = undefined;
  }

  checks(): readonly Check[] {
    if (!this.#running) return [{ status: 'off', name: 'probe filesystem', detail: 'not started' }];
    const { namespaces } = this.#mounts;
    const detail = `${this.#filesystems} filesystems in ${namespaces} mount namespaces, ${this.#nfs.watched} on NFS`;
    const checks: Check[] = [{ status: 'ok', name: 'probe filesystem', detail }];
    const hung = this.#space.hung;
    if (hung.length > 0) {
      const blind = this.#space.blind ? '; no other is asked either until one of them does' : '';
      const asked = `${hung.slice(0, 4).join(', ')} has not answered how full it is${blind}`;
      checks.push({ status: 'degraded', name: 'probe filesystem/space', detail: asked });
    }
    const programs = programChecks('filesystem', this.#object, this.#failure, WITHOUT);
    for (const check of programs) {
      if (check.status === 'ok') continue;
      const known = this.#failure === undefined ? check.detail : `${WITHOUT.users} (${check.detail})`;
      checks.push({ status: 'degraded', name: 'probe filesystem/users', detail: known });
      break;
    }
    return [...checks, ...this.stats.checks('filesystem'), ...this.#asks.checks('filesystem')];
  }

  lost(): Readonly<Record<string, number>> {
    return { pass: this.stats.failures, users: this.#asks.failures };
  }

  /**
   * One pass now. Its events are out when this returns.
   * @param full every namespace, and how each file server answers; else only what has changed
   * @returns whether a pass was made
   */
  pass(full: boolean): boolean {
    if (!this.#running) return false;
    const started = performance.now();
    const done = this.stats.run(() => this.#pass(full, started));
    const took = performance.now() - started;
    // One that found much to tell, or was held up, says nothing of the next ones.
    if (!full) this.#usualMs += (Math.min(took, 10 * this.#usualMs + 0.1) - this.#usualMs) / 8;
    // Half a period early, so that the timer's next call counts.
    this.#nextMs = started + Math.min(MAX_PASS_MS, this.#usualMs / MAX_SHARE) - PASS_MS / 2;
    return done;
  }

  /** How full they are, for a question: resolves when they were asked, which a dead one may keep from ever being. */
  async askSpace(): Promise<void> {
    if (this.#running) await this.#space.refresh();
  }

  #pass(full: boolean, nowMs: number): void {
    this.#tell(this.#mounts.refresh(full, nowMs));
    for (const fs of this.#ext4.look()) this.#readOnly({ ...fs, readOnly: true });
    for (const { fs, value, attrs } of this.#nfs.look(this.#mounts, this.#now(), full))
      this.#context.sink({ ...this.#base(fs.id), type: 'storage.rpc', value, attrs });
    if (full) this.#usersNow(nowMs);
  }

  /**
   * Something is wrong with a filesystem or device: tells who uses it, and again as trouble goes on: the first
   * error may come before the one that suffers has opened anything.
   */
  trouble(entity: string): void {
    this.#ask(entity, undefined);
  }

  /**
   * A disk that is gone: whoever still has it open may never say so, since of a device without a size nothing is asked
   * any more, and no request fails. Mapped and loop devices are removed when nobody has them open.
   */
  device(entity: string, { dev, kind, gone }: BlockDeviceAttrs): void {
    if (gone !== true) {
      if (this.#asked.get(entity)?.removed !== undefined) this.#asked.delete(entity);
    } else if (kind === 'disk' || kind === 'partition') {
      this.#ask(entity, parseDevice(dev));
    }
  }

  #ask(entity: string, number: number | undefined): void {
    const nowMs = performance.now();
    const last = this.#asked.get(entity);
    const removed = number ?? last?.removed;
    if (last !== undefined && removed === last.removed && nowMs - last.atMs < last.gapMs) return;
    const again = last !== undefined && nowMs - last.atMs < QUIET_MS;
    const gapMs = again ? Math.min(2 * last.gapMs, MAX_USERS_MS) : USERS_MS;
    if (this.#asked.size >= MAX_ASKED) this.#asked.clear();
    const users = this.#tellUsers(entity, removed);
    this.#asked.set(entity, { atMs: nowMs, gapMs, removed, users });
  }

  /**
   * A process has ended badly by itself: were the filesystems full that it wrote to?
   * @param wrote their numbers, `8:1`
   */
  ended(wrote: readonly string[]): void {
    for (const text of wrote) {
      const dev = parseDevice(text);
      const fs = dev === undefined ? undefined : this.#mounts.byDev(dev);
      // What is written to an overlay goes to what lies under it.
      if (fs !== undefined) this.#space.hurry(this.#mounts.byId(fs.under[0] ?? '') ?? fs);
    }
  }

  /** Who uses what was in trouble lately, for one who asks now. */
  #usersNow(nowMs: number): void {
    for (const [entity, { atMs, gapMs, removed, users }] of this.#asked) {
      if (nowMs - atMs < USERS_FRESH_MS) continue;
      // A removed device stays so for those who have it open.
      if (nowMs - atMs > QUIET_MS && (removed === undefined || users === 0)) {
        this.#asked.delete(entity);
        continue;
      }
      this.#asked.set(entity, { atMs: nowMs, gapMs, removed, users: this.#tellUsers(entity, removed) });
    }
  }

  /** @returns how many they are, as far as that is known */
  #tellUsers(entity: string, removed: number | undefined): number {
    const users = this.#users;
    let known = 0;
    if (users === undefined) return known;
    this.#asks.run(() => {
      const found = users.of(entity, removed);
      if (found === undefined) return;
      const { holders, count } = found;
      known = count;
      this.#context.sink({ ...this.#base(entity), type: 'storage.users', value: count, attrs: { holders } });
    });
    return known;
  }

  #tell({ found, gone, readOnly }: MountChanges): void {
    for (const fs of gone) {
      this.#space.gone(fs);
      this.#ext4.gone(fs);
      this.#mount(fs, { gone: true });
    }
    for (const fs of found) {
      this.#space.found(fs);
      this.#ext4.found(fs);
      this.#mount(fs, {});
    }
    for (const fs of readOnly) this.#readOnly(fs);
    if (found.length + gone.length > 0)
      this.#filesystems = this.#mounts.all().filter((fs) => !isPseudo(fs.fsType)).length;
  }

  #readOnly(fs: Filesystem): void {
    if (isPseudo(fs.fsType)) return;
    this.#context.sink({ ...this.#base(fs.id), type: 'storage.readonly', value: 0, attrs: attrsOf(fs) });
    this.trouble(fs.id);
  }

  #mount(fs: Filesystem, more: { readonly gone?: true }): void {
    if (isPseudo(fs.fsType)) return;
    const attrs = { ...attrsOf(fs), ...more };
    this.#context.sink({ ...this.#base(fs.id), type: 'storage.mount', value: 0, attrs });
  }

  #spaceTold(fs: Filesystem, { percent, attrs }: Space): void {
    this.#context.sink({ ...this.#base(fs.id), type: 'storage.space', value: percent, attrs });
    if (percent >= 100) this.trouble(fs.id);
  }

  #now(): number {
    const { clock } = this.#context;
    return clock.toEpochMs(clock.nowNs());
  }

  #base(entity: string): Pick<EventOf<'storage.mount'>, 'ts' | 'entity' | 'probe'> {
    return { ts: this.#now(), entity, probe: 'filesystem' };
  }
}

function attrsOf(fs: Filesystem): MountAttrs {
  return {
    dev: devText(fs.dev),
    fsType: fs.fsType,
    mountPoint: fs.mountPoint,
    under: fs.under,
    ...(fs.server !== undefined && { server: fs.server }),
    readOnly: fs.readOnly,
    ...(fs.mountNs !== undefined && { mountNs: fs.mountNs }),
  };
}
