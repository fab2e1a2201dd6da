/**
 * What keeps a GPU that does not answer from stopping everything: work on GPUs runs in two lanes, each with one call
 * at a time. libuv has four threads for all that blocks in this process; two lanes and the wait for events leave one
 * for files, whatever hangs. A lane whose call does not come back is not given up (the thread cannot be): it waits,
 * and the work that waits for both is told.
 *
 * A call can also wait for a thread, when files on a dead server hold them all. So one that is late is only said to
 * hang after another call, of nothing, has come back: libuv begins work in order.
 */

export interface LaneTask {
  /** Of the call under way, performance.now(); undefined between two. */
  readonly pendingSince: number | undefined;
  /** Must not reject. */
  run(): Promise<void>;
  /** Its call has not come back within the deadline. Called once a call. */
  hung(): void;
}

export const LANES = 2;
/** Who asks does not wait for a call that takes so long: it may never come back. */
const LATE_MS = 100;

interface Lane {
  task: LaneTask | undefined;
  /** `pendingSince` of the call that was told to hang. */
  toldFor: number | undefined;
  /** The same of the call that was late, and by when it is known to have begun. */
  lateFor: number | undefined;
  begunBy: number | undefined;
}

export class Lanes {
  readonly #lanes: readonly Lane[] = Array.from({ length: LANES }, () => ({
    task: undefined,
    toldFor: undefined,
    lateFor: undefined,
    begunBy: undefined,
  }));
  readonly #queue = new Set<LaneTask>();
  readonly #deadlineMs: number;
  readonly #answers: () => Promise<unknown>;
  readonly #onStuck: (waiting: readonly LaneTask[]) => void;
  #watch: NodeJS.Timeout | undefined;
  #idle: (() => void)[] = [];

  /**
   * @param answers comes back as soon as a thread of the pool has done all that was asked for before
   * @param onStuck no lane answers: with the tasks that wait, again at every look while it lasts
   */
  constructor(
    deadlineMs: number,
    answers: () => Promise<unknown>,
    onStuck: (waiting: readonly LaneTask[]) => void,
  ) {
    this.#deadlineMs = deadlineMs;
    this.#answers = answers;
    this.#onStuck = onStuck;
  }

  /** Whether nothing runs and nothing waits. */
  get quiet(): boolean {
    return this.#queue.size === 0 && this.#lanes.every((lane) => lane.task === undefined);
  }

  /** A call waits for a thread, not for the driver. */
  get starved(): boolean {
    return this.#lanes.some(
      ({ task, lateFor, begunBy }) =>
        lateFor !== undefined &&
        task?.pendingSince === lateFor &&
        begunBy === undefined &&
        performance.now() - lateFor > this.#deadlineMs,
    );
  }

  /** Lanes whose call is over the deadline. */
  get hung(): number {
    return this.#lanes.filter((lane) => this.#isHung(lane)).length;
  }

  /**
   * Runs it as soon as a lane is free. One that waits already waits on.
   * @param again once more also when it runs already
   */
  submit(task: LaneTask, again = false): void {
    if (!again && this.#runs(task)) return;
    this.#queue.add(task);
    this.#next();
  }

  /** What waits is not begun; what runs comes to its end when it does. */
  clear(): void {
    this.#queue.clear();
    this.#settle();
  }

  stop(): void {
    this.clear();
    this.#unwatch();
  }

  /** When all that was submitted is done, but for calls that are late already, and what has to wait for them. */
  settled(): Promise<void> {
    return new Promise((resolve) => {
      this.#idle.push(resolve);
      this.#settle();
    });
  }

  #next(): void {
    for (const lane of this.#lanes) {
      if (lane.task !== undefined) continue;
      const task = this.#first();
      if (task === undefined) break;
      this.#queue.delete(task);
      void this.#run(lane, task);
    }
    this.#arm(this.#deadlineMs / 2);
  }

  async #run(lane: Lane, task: LaneTask): Promise<void> {
    lane.task = task;
    lane.toldFor = undefined;
    await task.run();
    lane.task = undefined;
    this.#next();
    this.#settle();
    if (this.quiet) this.#unwatch();
  }

  #unwatch(): void {
    clearTimeout(this.#watch);
    this.#watch = undefined;
  }

  #arm(inMs: number): void {
    if (this.#watch !== undefined || this.#lanes.every((lane) => lane.task === undefined)) return;
    this.#watch = setTimeout(() => this.#look(), inMs).unref();
  }

  #look(): void {
    this.#watch = undefined;
    const now = performance.now();
    const halfMs = this.#deadlineMs / 2;
    let nextMs = halfMs;
    for (const lane of this.#lanes) {
      const since = lane.task?.pendingSince;
      if (since === undefined || lane.toldFor === since) continue;
      if (now - since < halfMs) {
        nextMs = Math.min(nextMs, halfMs - (now - since));
        continue;
      }
      if (lane.lateFor !== since) this.#askWhetherBegun(lane, since);
      if (lane.begunBy === undefined) continue;
      const leftMs = Math.max(this.#deadlineMs - (now - since), halfMs - (now - lane.begunBy));
      if (leftMs > 0) {
        nextMs = Math.min(nextMs, leftMs);
        continue;
      }
      lane.toldFor = since;
      lane.task?.hung();
    }
    if (this.hung === LANES) this.#onStuck([...this.#queue]);
    this.#settle();
    this.#arm(Math.max(nextMs, 10));
  }

  #askWhetherBegun(lane: Lane, since: number): void {
    lane.lateFor = since;
    lane.begunBy = undefined;
    void this.#answers().then(() => {
      if (lane.lateFor === since) lane.begunBy = performance.now();
    });
  }

  #runs(task: LaneTask): boolean {
    return this.#lanes.some((lane) => lane.task === task);
  }

  /** Never in both lanes at once: its calls share their memory. */
  #first(): LaneTask | undefined {
    for (const task of this.#queue) if (!this.#runs(task)) return task;
    return undefined;
  }

  #isHung(lane: Lane): boolean {
    return lane.task !== undefined && lane.toldFor !== undefined && lane.toldFor === lane.task.pendingSince;
  }

  #isLate(lane: Lane): boolean {
    const since = lane.task?.pendingSince;
    return since !== undefined && performance.now() - since > LATE_MS;
  }

  #settle(): void {
    // One that hangs has been late for long.
    const late = this.#lanes.filter((lane) => this.#isLate(lane)).length;
    const running = this.#lanes.filter((lane) => lane.task !== undefined).length;
    const waiting = this.#first() !== undefined && late < LANES;
    if (waiting || running > late) return;
    const done = this.#idle;
    this.#idle = [];
    for (const resolve of done) resolve();
  }
}
