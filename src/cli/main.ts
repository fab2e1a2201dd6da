/** `xctl`: ties run() to this process. */
import { messageOf } from '../util/errors.js';
import { EXIT } from './exit.js';
import { run } from './run.js';

/** `xctl ps | head` is success; a full disk is not. */
function ended(stream: NodeJS.WriteStream, error: NodeJS.ErrnoException): never {
  if (error.code === 'EPIPE') process.exit(EXIT.answered);
  if (stream === process.stdout) {
    stderr().write(`xctl: cannot write the answer: ${messageOf(error)}\n`);
  }
  process.exit(EXIT.internal);
}

let watchedStderr: NodeJS.WriteStream | undefined;

/** Opened when something is to be said there: most runs have no complaint, and it takes 8 ms. */
function stderr(): NodeJS.WriteStream {
  watchedStderr ??= process.stderr.on('error', (error) => ended(process.stderr, error));
  return watchedStderr;
}

/** Undone before a signal ends the process as it would have, and before an error or exit does. */
function beforeEnd(undo: () => void): () => void {
  const signals = ['SIGTERM', 'SIGHUP', 'SIGQUIT'] as const;
  const onSignal = (signal: NodeJS.Signals): void => {
    forget();
    undo();
    process.kill(process.pid, signal);
  };
  const forget = (): void => {
    for (const signal of signals) process.off(signal, onSignal);
    process.off('exit', undo);
  };
  for (const signal of signals) process.on(signal, onSignal);
  process.on('exit', undo);
  return forget;
}

/** Where nobody could say `fg` (no shell with job control) the kernel does not stop it, and it goes on at once. */
function stop(then: () => void): void {
  process.kill(process.pid, 'SIGTSTP');
  setImmediate(then);
}

const interrupt = new AbortController();
process.once('SIGINT', () => interrupt.abort());

void run(process.argv.slice(2), {
  stdout: process.stdout.on('error', (error) => ended(process.stdout, error)),
  get stderr() {
    return stderr();
  },
  get stdin() {
    return process.stdin;
  },
  beforeEnd,
  stop,
  env: process.env,
  signal: interrupt.signal,
}).then((code) => {
  process.exitCode = code;
});
