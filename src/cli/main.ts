/** `xctl`: ties run() to this process. */
import { messageOf } from '../util/errors.js';
import { EXIT } from './exit.js';
import { run } from './run.js';

/** `xctl ps | head` is success; a full disk is not. */
function watched(stream: NodeJS.WriteStream): NodeJS.WriteStream {
  if (stream.listenerCount('error') > 0) return stream;
  return stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(EXIT.answered);
    if (stream === process.stdout) {
      watched(process.stderr).write(`xctl: cannot write the answer: ${messageOf(error)}\n`);
    }
    process.exit(EXIT.internal);
  });
}

const interrupt = new AbortController();
process.once('SIGINT', () => interrupt.abort());

void run(process.argv.slice(2), {
  stdout: watched(process.stdout),
  // Opened when something is to be said there: most runs have no complaint.
  get stderr() {
    return watched(process.stderr);
  },
  env: process.env,
  signal: interrupt.signal,
}).then((code) => {
  process.exitCode = code;
});
