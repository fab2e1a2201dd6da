/** xctl-agent: command line → configuration → Agent → exit code. */
import { createLog, type Log } from '../util/log.js';
import { packageVersion } from '../util/version.js';
import { messageOf } from '../util/errors.js';
import { type AgentConfig, parseCommandLine } from './config.js';
import { exitCodeOf, logFailure, watchSignals, watchUncaught } from './signals.js';

/** Undefined when there is nothing to run: it was a question about the program itself, or a mistake. */
function configure(argv: readonly string[]): AgentConfig | undefined {
  try {
    const invocation = parseCommandLine(argv, packageVersion());
    if ('run' in invocation) return invocation.run;
    process.stdout.write(invocation.print);
  } catch (error) {
    process.stderr.write(`xctl-agent: ${messageOf(error)}\n`);
    process.exitCode = exitCodeOf(error);
  }
  return undefined;
}

async function run(config: AgentConfig, log: Log): Promise<void> {
  let reload = (): void => {};
  // Before there is an agent there is nothing to reload.
  const signal = watchSignals(log, () => reload());
  try {
    // Only now: loading it takes a while, and a SIGTERM in the meantime is to end it cleanly.
    const { Agent } = await import('./agent.js');
    const agent = new Agent(config, log);
    reload = () => agent.reload();
    await agent.run(signal);
    log.info('stopped');
  } catch (error) {
    logFailure(log, 'xctl-agent ends', error);
    process.exitCode = exitCodeOf(error);
  }
  await leave();
}

/** What still holds the event loop (a native call, a hung disk) must not hold the process. */
async function leave(): Promise<void> {
  try {
    const { pendingCalls } = await import('../ffi/native.js');
    const { exitNow } = await import('../ffi/libc.js');
    if (pendingCalls() > 0) exitNow(Number(process.exitCode ?? 0));
  } catch {
    // Without FFI nothing of it is under way.
  }
  process.exit();
}

const config = configure(process.argv.slice(2));
if (config !== undefined) {
  const log = createLog(config.logLevel);
  watchUncaught(log);
  await run(config, log);
}
