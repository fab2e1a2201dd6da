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

const interrupt = new AbortController();
process.once('SIGINT', () => interrupt.abort());

void run(process.argv.slice(2), {
  stdout: process.stdout.on('error', (error) => ended(process.stdout, error)),
  get stderr() {
    return stderr();
  },
  env: process.env,
  signal: interrupt.signal,
}).then((code) => {
  process.exitCode = code;
});
