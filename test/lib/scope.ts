/**
 * What a helper made is undone when its scope ends. A tap test is a scope (`t.teardown`); the demo and
 * the benchmarks, which no tap runs, open one with `openScope`.
 */

export interface Scope {
  /** Called at the end, last registered first. */
  teardown(undo: () => unknown): unknown;
}

export interface OpenScope extends Scope {
  /** Aborted as soon as the scope ends, whatever ended it. */
  readonly signal: AbortSignal;
  /** Undoes everything, once; a failing step is reported on stderr and does not keep the others from running. */
  close(): Promise<void>;
}

const SIGNALS = { SIGINT: 2, SIGTERM: 15, SIGHUP: 1 } as const;

/**
 * A scope that also ends on SIGINT, SIGTERM and SIGHUP: it undoes everything, then exits with 128 + signal.
 * A second signal does not cut the clean-up short.
 */
export function openScope(): OpenScope {
  const undos: (() => unknown)[] = [];
  const abort = new AbortController();
  let closing: Promise<void> | undefined;

  const undoAll = async (): Promise<void> => {
    abort.abort();
    for (let undo = undos.pop(); undo !== undefined; undo = undos.pop()) {
      try {
        await undo();
      } catch (error) {
        console.error(`clean-up: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
  };
  const close = (): Promise<void> => {
    closing ??= undoAll();
    return closing;
  };
  const onSignal = (name: NodeJS.Signals): void => {
    const number = Object.entries(SIGNALS).find(([known]) => known === name)?.[1] ?? 15;
    void close().finally(() => process.exit(128 + number));
  };
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, onSignal);

  return {
    signal: abort.signal,
    close: async () => {
      await close();
      for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.off(name, onSignal);
    },
    teardown: (undo) => {
      // Made while the scope was already ending: undo it now, nobody will come by again.
      if (abort.signal.aborted) return undo();
      undos.push(undo);
      return undefined;
    },
  };
}
