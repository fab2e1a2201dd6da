/** Cuts a byte stream into lines, with a bound on each: a line without an end costs no memory. */

const NEWLINE = 0x0a;

export class LineSplitter {
  readonly #maxBytes: number;
  readonly #onLine: (line: string) => void;
  #parts: Buffer[] = [];
  #partBytes = 0;
  /** The present line is over the bound: everything up to its end is thrown away. */
  #skipping = false;
  #oversized = 0;

  /** @param onLine gets each line as UTF-8 without its end (`\n` or `\r\n`); bad bytes become U+FFFD. */
  constructor(maxBytes: number, onLine: (line: string) => void) {
    this.#maxBytes = maxBytes;
    this.#onLine = onLine;
  }

  /** Lines thrown away for their length. */
  get oversized(): number {
    return this.#oversized;
  }

  /** Bytes of a line whose end has not come; a stream that ends here ended in the middle of it. */
  get pendingBytes(): number {
    return this.#skipping ? this.#maxBytes : this.#partBytes;
  }

  push(chunk: Buffer): void {
    let from = 0;
    for (;;) {
      const end = chunk.indexOf(NEWLINE, from);
      if (end === -1) break;
      this.#finish(chunk.subarray(from, end));
      from = end + 1;
    }
    if (from < chunk.length) this.#keep(chunk.subarray(from));
  }

  /** The stream is over: what has no end counts as a line, and the next stream starts anew. */
  end(): void {
    if (this.#partBytes > 0) this.#finish(Buffer.alloc(0));
    this.#reset();
  }

  #reset(): void {
    this.#parts = [];
    this.#partBytes = 0;
    this.#skipping = false;
  }

  #keep(part: Buffer): void {
    if (this.#skipping) return;
    this.#partBytes += part.length;
    if (this.#partBytes > this.#maxBytes) {
      this.#oversized++;
      this.#reset();
      this.#skipping = true;
      return;
    }
    this.#parts.push(part);
  }

  #finish(tail: Buffer): void {
    if (this.#skipping) {
      this.#skipping = false;
      return;
    }
    if (this.#partBytes + tail.length > this.#maxBytes) {
      this.#oversized++;
      this.#reset();
      return;
    }
    const bytes = this.#parts.length === 0 ? tail : Buffer.concat([...this.#parts, tail]);
    this.#reset();
    const end = bytes.length > 0 && bytes[bytes.length - 1] === 0x0d ? bytes.length - 1 : bytes.length;
    this.#onLine(bytes.toString('utf8', 0, end));
  }
}
