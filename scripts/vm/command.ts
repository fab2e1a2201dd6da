/** Commands of the host: no shell, their words in the error, ended with the run. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

/**
 * stdout of a command.
 * @throws Error `<command>: <last lines of its stderr>`
 */
export async function output(
  command: string,
  args: readonly string[],
  signal: AbortSignal,
  cwd?: string,
): Promise<string> {
  try {
    const options = { signal, maxBuffer: 64 * 1024 * 1024, ...(cwd !== undefined && { cwd }) };
    return (await run(command, args, { ...options, encoding: 'utf8' })).stdout;
  } catch (error) {
    signal.throwIfAborted();
    const stderr =
      error instanceof Error && 'stderr' in error && typeof error.stderr === 'string' ? error.stderr : '';
    const said = stderr.trim().split('\n').slice(-4).join(' | ');
    throw new Error(`${command} ${args.at(-1) ?? ''}: ${said || String(error)}`, { cause: error });
  }
}
