/** Bounds on what others may cost us: a rate of things, and a rate of bytes read from a stream. */
import type { Readable } from 'node:stream';

/** Grants up to `perSecond` takes a second, and as many at once after a quiet second. */
export class TokenBucket {
  readonly #perSecond: number;
  readonly #now: () => number;
  #tokens: number;
  #at: number;

  /** @param now a steady clock in ms */
  constructor(perSecond: number, now: () => number = () => performance.now()) {
    this.#perSecond = perSecond;
    this.#now = now;
    this.#tokens = perSecond;
    this.#at = now();
  }

  take(): boolean {
    if (this.#tokens < 1) this.#refill();
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }

  #refill(): void {
    const now = this.#now();
    this.#tokens = Math.min(this.#perSecond, this.#tokens + ((now - this.#at) / 1000) * this.#perSecond);
    this.#at = now;
  }
}

const SLICE_MS = 100;

/**
 * Reads `stream` at no more than `bytesPerSecond`; beyond that its writer has to wait. A slice of a
 * tenth of a second at a time, so that a flood never holds the event loop for long.
 * @returns lifts the bound: what is left is read at once (the writer has ended)
 */
export function readThrottled(
  stream: Readable,
  bytesPerSecond: number,
  onChunk: (chunk: Buffer) => void,
): () => void {
  const sliceBytes = (bytesPerSecond * SLICE_MS) / 1000;
  let left = sliceBytes;
  let sliceEnd = performance.now() + SLICE_MS;
  let timer: NodeJS.Timeout | undefined;
  let free = false;
  stream.on('data', (chunk: Buffer) => {
    onChunk(chunk);
    if (free) return;
    const now = performance.now();
    if (now >= sliceEnd) {
      left = sliceBytes;
      sliceEnd = now + SLICE_MS;
    }
    left -= chunk.length;
    if (left > 0) return;
    stream.pause();
    // A chunk larger than a slice is paid for by a longer pause.
    timer = setTimeout(() => stream.resume(), sliceEnd - now + (-left / bytesPerSecond) * 1000);
  });
  return () => {
    free = true;
    clearTimeout(timer);
    stream.resume();
  };
}
