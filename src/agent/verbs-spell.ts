/**
 * Probe `rdma-trace` for some seconds, because somebody asked (`xctl diag` does): the same probe that `--rdma-trace`
 * has all the time, one at a time, and never longer than MAX_SPELL_S. Its budget is judged over two seconds instead of ten, so
 * that a short spell is judged at all; one that was too dear is the last until the agent starts again.
 */
import type { Event } from '../events/event.js';
import type { Probe } from '../probes/probe.js';
import type { VerbsSpellView } from '../api/contract.js';
import { messageOf, RefusedError, UsageError } from '../util/errors.js';
import type { Log } from '../util/log.js';

export const MAX_SPELL_S = 30;
export const SPELL_BUDGET_WINDOW_MS = 2_000;

/** What a spell needs of the probe. */
export interface VerbsTrace extends Probe {
  /** It has taken itself off. */
  readonly overBudget: boolean;
  heed(event: Event): void;
  pass(full: boolean): void;
}

export class VerbsSpell {
  readonly #make: () => VerbsTrace;
  readonly #log: Log;
  #running: { readonly probe: VerbsTrace; readonly timer: NodeJS.Timeout } | undefined;
  /** One is being started or stopped. */
  #busy = false;
  #tooDear = false;
  #stopped = false;

  constructor(make: () => VerbsTrace, log: Log) {
    this.#make = make;
    this.#log = log;
  }

  /** The one that runs now. */
  get probe(): VerbsTrace | undefined {
    return this.#running?.probe;
  }

  /** @throws UsageError RefusedError */
  async begin(seconds: number): Promise<VerbsSpellView> {
    if (!Number.isInteger(seconds) || seconds < 1 || seconds > MAX_SPELL_S)
      throw new UsageError(`seconds must be a number from 1 to ${MAX_SPELL_S}`);
    if (this.#stopped) throw new RefusedError('the agent is ending');
    if (this.#tooDear)
      throw new RefusedError(
        'looking at posts has cost more than it may: not again until the agent is restarted',
      );
    if (this.#busy || this.#running !== undefined)
      throw new RefusedError('somebody is looking at posts already; ask again when that is over');
    this.#busy = true;
    const probe = this.#make();
    try {
      await this.#start(probe);
    } finally {
      this.#busy = false;
    }
    const timer = setTimeout(() => void this.end(), seconds * 1_000);
    // Whoever ends the agent does not wait for it.
    timer.unref();
    this.#running = { probe, timer };
    if (this.#stopped) await this.end();
    return { state: 'begun', seconds };
  }

  /** Takes it off now. */
  async end(): Promise<void> {
    const running = this.#running;
    if (running === undefined) return;
    this.#running = undefined;
    this.#busy = true;
    clearTimeout(running.timer);
    this.#tooDear ||= running.probe.overBudget;
    await this.#put(running.probe);
    this.#busy = false;
  }

  /** For good. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.end();
  }

  async #start(probe: VerbsTrace): Promise<void> {
    try {
      await probe.start();
      const [summary] = probe.checks();
      if (summary === undefined || summary.status === 'ok' || summary.status === 'degraded') return;
      throw new RefusedError(summary.detail);
    } catch (error) {
      await this.#put(probe);
      throw new RefusedError(`posts cannot be looked at: ${messageOf(error)}`, { cause: error });
    }
  }

  async #put(probe: VerbsTrace): Promise<void> {
    try {
      await probe.stop();
    } catch (error) {
      this.#log.warn('rdma-trace did not stop', { error: messageOf(error) });
    }
  }
}
