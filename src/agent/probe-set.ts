/** The probes of one agent: started one by one, each on its own feet, and stopped together. */
import type { Loss } from '../metrics/sources.js';
import type { Probe } from '../probes/probe.js';
import type { Check } from '../util/check.js';
import { messageOf } from '../util/errors.js';
import type { Log } from '../util/log.js';

export interface ProbeState {
  readonly probe: string;
  /** `attached`, `degraded: …`, `failed: …`, `off: …` */
  readonly state: string;
  readonly up: boolean;
}

export class ProbeSet {
  readonly #log: Log;
  readonly #probes: Probe[] = [];
  /** Probes that did not start at all, with the reason. */
  readonly #failed = new Map<string, string>();

  constructor(log: Log) {
    this.#log = log.child({ component: 'probes' });
  }

  /** Starts a probe; one that cannot start is remembered with its reason and takes no other down. */
  async start(probe: Probe, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    this.#probes.push(probe);
    try {
      await probe.start();
    } catch (error) {
      if (signal.aborted) return;
      this.#failed.set(probe.name, messageOf(error));
      this.#log.error('probe failed', { probe: probe.name, error: messageOf(error) });
    }
  }

  /** A probe that could not even be made, for what all probes of its kind lack. */
  refuse(name: string, reason: string): void {
    this.#failed.set(name, reason);
  }

  settle(): void {
    for (const probe of this.#probes) probe.settle?.();
  }

  /** One state a probe; several programs are `subprocess 1`, `subprocess 2`, … */
  states(): readonly ProbeState[] {
    const states = new Map<string, ProbeState>();
    for (const [probe, reason] of this.#failed)
      states.set(probe, { probe, state: `failed: ${reason}`, up: false });
    let subprocesses = 0;
    for (const probe of this.#probes) {
      const name = probe.name === 'subprocess' ? `subprocess ${++subprocesses}` : probe.name;
      if (!states.has(name)) states.set(name, stateOf(name, probe.checks()));
    }
    return [...states.values()];
  }

  checks(): readonly Check[] {
    const refused = [...this.#failed]
      .filter(([name]) => !this.#probes.some((probe) => probe.name === name))
      .map(([name, detail]) => ({ status: 'failed' as const, name: `probe ${name}`, detail }));
    return [...refused, ...this.#probes.flatMap((probe) => probe.checks())];
  }

  *lost(): Generator<Loss> {
    for (const probe of this.#probes) {
      for (const [reason, count] of Object.entries(probe.lost?.() ?? {}))
        yield { source: probe.name, reason, count };
    }
  }

  async stop(): Promise<void> {
    const stops = this.#probes.map(async (probe) => probe.stop());
    for (const result of await Promise.allSettled(stops)) {
      if (result.status === 'rejected')
        this.#log.warn('probe did not stop', { error: messageOf(result.reason) });
    }
  }
}

/** The first check of a probe sums it up. */
function stateOf(probe: string, [summary]: readonly Check[]): ProbeState {
  switch (summary?.status) {
    case undefined:
    case 'ok':
      return { probe, state: 'attached', up: true };
    case 'degraded':
      return { probe, state: `degraded: ${summary.detail}`, up: true };
    case 'failed':
    case 'off':
      return { probe, state: `${summary.status}: ${summary.detail}`, up: false };
  }
}
