/** The life of `xctl top`: one question a second, keys in between, and the last picture when the agent goes away. */
import type { ProcessList } from '../api/contract.js';
import type { Findings } from '../scene/answer.js';
import { duration } from '../scene/words.js';
import { messageOf } from '../util/errors.js';
import { clean } from './render/clean.js';
import { ORDERS, type Order, renderTop, type TopPicture, type TopState } from './render/top.js';
import type { Key, Screen } from './screen.js';
import type { Style } from './terminal.js';

export interface Watched {
  ps(): Promise<ProcessList>;
  findings(): Promise<Findings>;
}

export interface WatchOptions {
  readonly screen: Screen;
  readonly client: Watched;
  readonly style: Style;
  /** Ends it. */
  readonly signal: AbortSignal;
  /** Calls `act` every second until the returned function is called; a test has seconds of its own. */
  readonly everySecond?: (act: () => void) => () => void;
}

/** An answer that takes longer is told of. */
const LATE_MS = 2_000;

/** Until somebody leaves. @throws XctlError the first answer cannot be had */
export async function watch(options: WatchOptions): Promise<void> {
  const { screen, client, style, signal } = options;
  // Before the screen is taken: what goes wrong here is said as every command says it.
  const findings = clean(await client.findings(), style);
  const ps = clean(await client.ps(), style);
  if (signal.aborted) return;
  const watching = new Watching(screen, client, style, {
    ps,
    findings,
    order: 'trouble',
    offset: 0,
    problem: undefined,
  });
  await new Promise<void>((resolve) => {
    const stop = (options.everySecond ?? everySecond)(() => watching.tick());
    const end = (): void => {
      stop();
      signal.removeEventListener('abort', end);
      screen.close();
      resolve();
    };
    signal.addEventListener('abort', end);
    screen.open(
      (key) => (key === 'quit' ? end() : watching.press(key)),
      () => watching.draw(),
    );
    watching.draw();
  });
}

function everySecond(act: () => void): () => void {
  const timer = setInterval(act, 1_000);
  return () => clearInterval(timer);
}

function after(order: Order): Order {
  return ORDERS[(ORDERS.indexOf(order) + 1) % ORDERS.length] ?? 'trouble';
}

class Watching {
  readonly #screen: Screen;
  readonly #client: Watched;
  readonly #style: Style;
  #state: TopState;
  #picture: TopPicture | undefined;
  /** Seconds of our own since the question that is not answered yet. */
  #askedMs: number | undefined;
  #turn = 0;

  constructor(screen: Screen, client: Watched, style: Style, state: TopState) {
    this.#screen = screen;
    this.#client = client;
    this.#style = style;
    this.#state = state;
  }

  draw(): void {
    this.#picture = renderTop(this.#state, this.#style, this.#screen.size());
    this.#screen.draw(this.#picture.lines);
  }

  tick(): void {
    if (this.#askedMs === undefined) {
      void this.#ask();
      return;
    }
    const lateMs = performance.now() - this.#askedMs;
    if (lateMs >= LATE_MS)
      this.#show({ problem: `the agent has not answered for ${duration(lateMs)}; this is from before` });
  }

  press(key: Exclude<Key, 'quit'>): void {
    if (key === 'stop') this.#screen.stop();
    if (typeof key === 'object') {
      if (key.text === 's') this.#show({ order: after(this.#state.order), offset: 0 });
      return;
    }
    this.#show({ offset: this.#scrolled(key) });
  }

  #scrolled(key: Exclude<Key, 'quit' | { readonly text: string }>): number {
    const { page = 0, lastOffset = 0 } = this.#picture ?? {};
    const at = Math.min(this.#state.offset, lastOffset);
    const to: Readonly<Record<typeof key, number>> = {
      up: at - 1,
      down: at + 1,
      'page-up': at - page,
      'page-down': at + page,
      home: 0,
      end: lastOffset,
      stop: at,
      redraw: at,
    };
    return Math.max(0, Math.min(to[key], lastOffset));
  }

  #show(change: Partial<TopState>): void {
    this.#state = { ...this.#state, ...change };
    this.draw();
  }

  /** In turns: the agent is asked once a second and not twice. */
  async #ask(): Promise<void> {
    this.#askedMs = performance.now();
    try {
      const answer =
        this.#turn++ % 2 === 0
          ? { findings: clean(await this.#client.findings(), this.#style) }
          : { ps: clean(await this.#client.ps(), this.#style) };
      this.#show({ ...answer, problem: undefined });
    } catch (error) {
      this.#show({ problem: `${clean(messageOf(error), this.#style)}; this is from before` });
    } finally {
      this.#askedMs = undefined;
    }
  }
}
