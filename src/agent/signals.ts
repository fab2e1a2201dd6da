/** How the agent's process ends: signals, a deadline for ending, errors that nobody caught. */
import { constants } from 'node:os';
import { messageOf, UsageError, RefusedError } from '../util/errors.js';
import type { Log } from '../util/log.js';

/** The contract says two seconds; the rest is for the process itself to go. */
const STOP_DEADLINE_MS = 1800;

/**
 * SIGTERM and SIGINT abort the returned signal; the process ends with `run`, or after the deadline
 * with exit code 1; a second one ends it at once. SIGHUP reloads the rules. To be called before
 * anything else, so that a signal during start-up is not missed.
 * @param reload the rest is not reloaded: a restart is
 */
export function watchSignals(log: Log, reload: () => void): AbortSignal {
  const controller = new AbortController();
  const end = (name: 'SIGTERM' | 'SIGINT'): void => {
    if (controller.signal.aborted) {
      log.warn('second signal, ending at once', { signal: name });
      process.exit(128 + constants.signals[name]);
    }
    log.info('stopping', { signal: name });
    setTimeout(() => {
      log.error('could not stop in time', { deadlineMs: STOP_DEADLINE_MS });
      process.exit(1);
    }, STOP_DEADLINE_MS).unref();
    controller.abort();
  };
  process.on('SIGTERM', end);
  process.on('SIGINT', end);
  process.on('SIGHUP', () => {
    log.info('reloading the rules; other settings need a restart', { signal: 'SIGHUP' });
    reload();
  });
  return controller.signal;
}

/** One line and exit code 1 for what nobody caught; the stack only in a debug log. */
export function watchUncaught(log: Log): void {
  const die = (error: unknown): void => {
    logFailure(log, 'internal error', error);
    process.exit(1);
  };
  process.on('uncaughtException', die);
  process.on('unhandledRejection', die);
  // Whoever read the log is gone: nothing to write to, but no reason to end.
  process.stderr.on('error', () => {});
}

export function logFailure(log: Log, msg: string, error: unknown): void {
  log.error(msg, { error: messageOf(error) });
  if (error instanceof Error) log.debug('stack', { stack: error.stack });
}

/** As xctl's exit codes: 2 bad usage, 5 refused, 1 anything else. */
export function exitCodeOf(error: unknown): 1 | 2 | 5 {
  if (error instanceof UsageError) return 2;
  return error instanceof RefusedError ? 5 : 1;
}
