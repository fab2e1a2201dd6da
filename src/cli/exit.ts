/** Exit codes: the one table. Others script against it (docs/architecture.md, contract). */
import { NoAgentError, NoProcessError, RefusedError, UsageError } from '../util/errors.js';

export const EXIT = {
  answered: 0,
  internal: 1,
  usage: 2,
  noAgent: 3,
  noProcess: 4,
  refused: 5,
  notResolved: 6,
  /** Ended by Ctrl-C, as a shell would say it: 128 + SIGINT. */
  interrupted: 130,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

export function exitCodeOf(error: unknown): ExitCode {
  if (error instanceof UsageError) return EXIT.usage;
  if (error instanceof NoAgentError) return EXIT.noAgent;
  if (error instanceof NoProcessError) return EXIT.noProcess;
  if (error instanceof RefusedError) return EXIT.refused;
  return EXIT.internal;
}

/** For `--help`. */
export const EXIT_HELP =
  'Exit codes: 0 answered, 1 internal error, 2 bad usage, 3 no agent, 4 no such process, 5 refused, 6 not resolved, 130 interrupted.';
