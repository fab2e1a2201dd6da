/** What the agent tells of GPUs, read from its recording while it is written. */
import { closeSync, openSync, readSync } from 'node:fs';
import { decodeEvent } from '../../src/events/codec.js';
import type { Event, EventOf } from '../../src/events/event.js';
import type { Seen } from './compare.js';

const CHUNK_BYTES = 1 << 20;

export class Told {
  readonly #fd: number;
  readonly #chunk = Buffer.alloc(CHUNK_BYTES);
  #rest = '';
  readonly #devices = new Map<string, EventOf<'gpu.device'>>();
  readonly #uses = new Map<string, EventOf<'gpu.use'>>();
  readonly #healths = new Map<string, EventOf<'gpu.health'>>();
  readonly #processes = new Map<string, EventOf<'gpu.processes'>>();
  /** Other than that they are well. */
  readonly states: EventOf<'gpu.state'>[] = [];

  constructor(path: string) {
    this.#fd = openSync(path, 'r');
  }

  close(): void {
    closeSync(this.#fd);
  }

  /** Takes what was written since. */
  read(): void {
    for (;;) {
      const bytes = readSync(this.#fd, this.#chunk, 0, CHUNK_BYTES, null);
      if (bytes === 0) return;
      const lines = (this.#rest + this.#chunk.toString('utf8', 0, bytes)).split('\n');
      this.#rest = lines.pop() ?? '';
      for (const line of lines) {
        if (!line.includes('"gpu.')) continue;
        const decoded = decodeEvent(line);
        if (decoded.ok) this.#take(decoded.event);
      }
    }
  }

  /** By uuid. */
  get gpus(): readonly { readonly entity: string; readonly uuid: string }[] {
    return [...this.#devices].map(([entity, { attrs }]) => ({ entity, uuid: attrs.uuid ?? '' }));
  }

  /** @returns undefined: not all of it was told yet, or not since `ts` */
  seen(entity: string, ts: number): Seen | undefined {
    const use = this.#uses.get(entity);
    const device = this.#devices.get(entity);
    const health = this.#healths.get(entity);
    if (use === undefined || device === undefined || health === undefined || use.ts < ts) return undefined;
    return { device: device.attrs, use: use.attrs, health: health.attrs };
  }

  processes(entity: string): EventOf<'gpu.processes'>['attrs']['processes'] {
    return this.#processes.get(entity)?.attrs.processes ?? [];
  }

  #take(event: Event): void {
    switch (event.type) {
      case 'gpu.device':
        this.#devices.set(event.entity, event);
        return;
      case 'gpu.use':
        this.#uses.set(event.entity, event);
        return;
      case 'gpu.health':
        this.#healths.set(event.entity, event);
        return;
      case 'gpu.processes':
        this.#processes.set(event.entity, event);
        return;
      case 'gpu.state':
        if (event.attrs.state !== 'ok') this.states.push(event);
        return;
      default:
        return;
    }
  }
}
