/** Waiting for a condition instead of for a time. */
import { setTimeout as sleep } from 'node:timers/promises';

/** On a machine many times slower than hardware (an emulated one) every deadline is stretched by this. */
const PATIENCE = Number(process.env.XCTL_TEST_PATIENCE ?? 1);

export interface UntilOptions {
  readonly timeoutMs: number;
  /** What is waited for; the error says so: `timed out after 5000 ms waiting for <what>`. */
  readonly what: string;
  /** Between two looks; 20 unless said. */
  readonly everyMs?: number;
}

/** Thrown by a condition that can never come true any more: `until` rejects with it at once. */
export class Hopeless extends Error {}

/**
 * Looks again and again until `condition` gives something other than undefined, null or false, and returns
 * that. What else the condition throws counts as "not yet"; the last such error is the cause of the time-out.
 */
export async function until<T>(
  condition: () => T | Promise<T>,
  options: UntilOptions,
): Promise<Exclude<T, undefined | null | false>> {
  const timeoutMs = options.timeoutMs * PATIENCE;
  const deadline = performance.now() + timeoutMs;
  let last: unknown;
  for (;;) {
    try {
      last = undefined;
      const value = await condition();
      if (value !== undefined && value !== null && value !== false) {
        return value as Exclude<T, undefined | null | false>;
      }
    } catch (error) {
      if (error instanceof Hopeless) throw error;
      last = error;
    }
    if (performance.now() >= deadline) {
      throw new Error(
        `timed out after ${timeoutMs} ms waiting for ${options.what}`,
        last === undefined ? undefined : { cause: last },
      );
    }
    await sleep(options.everyMs ?? 20);
  }
}
