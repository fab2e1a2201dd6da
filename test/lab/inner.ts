/**
 * A scope within another one: ends by itself, or with the other. `openScope` listens for signals and ends the program
 * when it has undone its own things; of several, the first one done would cut the others short.
 */
import type { OpenScope } from '../lib/scope.js';

export function innerScope(outer: OpenScope): OpenScope {
  const undos: (() => unknown)[] = [];
  const abort = new AbortController();
  let closing: Promise<void> | undefined;
  const undoAll = async (): Promise<void> => {
    abort.abort();
    outer.signal.removeEventListener('abort', onOuter);
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
  const onOuter = (): void => abort.abort();
  outer.signal.addEventListener('abort', onOuter);
  outer.teardown(close);
  return {
    signal: abort.signal,
    close,
    teardown: (undo) => {
      if (closing !== undefined) return undo();
      undos.push(undo);
      return undefined;
    },
  };
}
