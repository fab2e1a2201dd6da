/** The second guest as a test in the first sees it: what it is told (peer.ts does it), and what it says. */
import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import type { Scope } from '../lib/scope.js';
import { until } from '../lib/until.js';
import { addressOf, PEER_PORT } from './wires.js';

type Args = Readonly<Record<string, string | number>>;

/** `id` is the asker's; what is said of a workload later on carries it, too. */
export type Order =
  | { readonly id: number; readonly start: string; readonly args: Args }
  | { readonly id: number; readonly signal: NodeJS.Signals }
  | { readonly id: number; readonly run: readonly string[] };

export interface Answer {
  readonly id: number;
  /** It was started. */
  readonly pid?: number;
  /** It printed this. */
  readonly line?: string;
  /** A command ended. */
  readonly code?: number;
  readonly stdout?: string;
  /** The order could not be followed. */
  readonly error?: string;
}

export interface Remote {
  readonly pid: number;
  /** A field of its first `ready … kind=KIND` line, now or later. */
  ready(kind: string, field: string): Promise<number>;
  kill(signal: NodeJS.Signals): void;
}

export class Second {
  readonly #socket: Socket;
  readonly #answers: Answer[] = [];
  #next = 0;

  private constructor(socket: Socket) {
    this.#socket = socket;
    createInterface({ input: socket }).on('line', (line) => this.#answers.push(JSON.parse(line) as Answer));
  }

  /** Waits until the other guest is up. */
  static async connect(scope: Scope): Promise<Second> {
    const socket = await until(tryConnect, { timeoutMs: 30_000, what: 'the second guest', everyMs: 500 });
    scope.teardown(() => socket.destroy());
    return new Second(socket);
  }

  /** Starts `test/workloads/<name>.c` there. */
  async start(name: string, args: Args): Promise<Remote> {
    const id = this.#order({ start: name, args });
    const pid = await this.#answer(id, ({ pid }) => pid, `${name} to start`);
    return {
      pid,
      ready: async (kind, field) => {
        const pattern = new RegExp(`^ready .*\\bkind=${kind}( .*)?$`);
        const line = await this.#answer(
          id,
          ({ line }) => (line !== undefined && pattern.test(line) ? line : undefined),
          `${kind} of ${name}`,
        );
        return Number(new RegExp(`\\b${field}=(\\d+)`).exec(line)?.[1] ?? Number.NaN);
      },
      kill: (signal) => this.#say({ id, signal }),
    };
  }

  /** @returns its stdout. @throws Error when its exit code is not 0 */
  async run(...words: readonly string[]): Promise<string> {
    const id = this.#order({ run: words });
    const { code, stdout } = await this.#answer(
      id,
      (a) => (a.code === undefined ? undefined : a),
      words.join(' '),
    );
    if (code !== 0) throw new Error(`${words.join(' ')} there: ${stdout}`);
    return stdout ?? '';
  }

  #order(what: { start: string; args: Args } | { run: readonly string[] }): number {
    const id = this.#next++;
    this.#say({ id, ...what });
    return id;
  }

  #say(order: Order): void {
    this.#socket.write(`${JSON.stringify(order)}\n`);
  }

  async #answer<T>(
    id: number,
    pick: (answer: Answer) => T | undefined,
    what: string,
  ): Promise<NonNullable<T>> {
    const own = (): readonly Answer[] => this.#answers.filter((answer) => answer.id === id);
    const found = await until(
      () => {
        for (const answer of own()) {
          const value = pick(answer);
          if (value !== undefined && value !== null) return { value };
        }
        const error = own().find((answer) => answer.error !== undefined)?.error;
        if (error !== undefined) throw new Error(error);
        return undefined;
      },
      { timeoutMs: 20_000, what },
    );
    return found.value;
  }
}

function tryConnect(): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(PEER_PORT, addressOf('control', 2));
    socket.setTimeout(2_000, () => socket.destroy(new Error('no answer')));
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.setTimeout(0);
      resolve(socket);
    });
  });
}
