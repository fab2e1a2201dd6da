/**
 * The errors people meet. Each says what is wrong and what to do, in one line; the exit code that
 * belongs to it is fixed in one table (cli/exit.ts), never at the place of the throw.
 */

/** Base of every error this project throws on purpose. */
export class XctlError extends Error {
  override readonly name: string = 'XctlError';
}

/** The caller typed or configured something wrong; `message` says what to type instead. */
export class UsageError extends XctlError {
  override readonly name = 'UsageError';
}

/** Nobody answers at the agent's socket. */
export class NoAgentError extends XctlError {
  override readonly name = 'NoAgentError';
}

/** No such process now, nor in the ten minutes that exited ones are kept. */
export class NoProcessError extends XctlError {
  override readonly name = 'NoProcessError';
}

/** Refused: permission, a precondition that does not hold, or not confirmed. */
export class RefusedError extends XctlError {
  override readonly name = 'RefusedError';
}

/** A native call failed: `bpf_object__load: EPERM; needs CAP_BPF and CAP_PERFMON`. */
export class NativeError extends XctlError {
  override readonly name = 'NativeError';
  readonly fn: string;
  readonly errno: string;
  readonly hint: string | undefined;

  constructor(fn: string, errno: string, hint?: string, options?: ErrorOptions) {
    super(`${fn}: ${errno}${hint === undefined ? '' : `; ${hint}`}`, options);
    this.fn = fn;
    this.errno = errno;
    this.hint = hint;
  }
}

/** The text of anything thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The errno name of a Node system error (`ENOENT`), else undefined. */
export function errnoOf(error: unknown): string | undefined {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') {
    return error.code;
  }
  return undefined;
}

/** For the `default` of an exhaustive switch: a compile error when a case is missing. */
export function assertNever(value: never): never {
  throw new XctlError(`unexpected value ${JSON.stringify(value)}`);
}
