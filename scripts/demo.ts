/**
 * `make demo`: a real stall, explained. A trainer in one network namespace exchanges gradients with its peer
 * in another; the packets are dropped; `xctl why` says so. Everything made here is undone at the end, also
 * after Ctrl-C or a crash half way. Exit code 0 only if the answer was right.
 */
import type { WhyAnswer } from '../src/scene/answer.js';
import { startAgent, xctl } from '../test/lib/agent.js';
import { openScope } from '../test/lib/scope.js';
import { until } from '../test/lib/until.js';
import { createWorld } from '../test/lib/world.js';

const ANSWER_TIMEOUT_MS = 10_000;

const scope = openScope();
const began = performance.now();

function say(text: string): void {
  console.log(`demo ${((performance.now() - began) / 1000).toFixed(1).padStart(5)} s  ${text}`);
}

/** The trainer is stuck because packets to this address are not answered. */
function isRight(answer: WhyAnswer, peer: string): boolean {
  return (
    answer.verdict === 'cause-found' &&
    (answer.scene === 'NetworkStall' || answer.scene === 'NetworkDrop') &&
    (answer.rootCause?.node.includes(peer) ?? false)
  );
}

async function demo(): Promise<boolean> {
  const world = await createWorld(scope);
  say(`network namespaces ${world.a.netns} (${world.a.ipv4}) and ${world.b.netns} (${world.b.ipv4})`);

  const agent = await startAgent(scope);
  say(`xctl-agent ready, pid ${agent.pid}, socket ${agent.socket}`);

  const peer = await world.start('b', 'trainer', { role: 'peer', host: world.b.ipv4 });
  const port = (await peer.ready('listen')).number('port');
  const trainer = await world.start('a', 'trainer', { host: world.b.ipv4, port });
  await trainer.line(/kind=step step=100$/);
  say(
    `trainer pid ${trainer.pid} exchanges gradients with its peer pid ${peer.pid} (${world.b.ipv4}:${port})`,
  );

  await world.drop({ at: 'b', port });
  const dropped = performance.now();
  say(`nft in ${world.b.netns} drops the packets from now on`);

  let last: WhyAnswer | undefined;
  const found = await until(
    async () => {
      last = await agent.why(trainer.pid);
      return isRight(last, world.b.ipv4);
    },
    { timeoutMs: ANSWER_TIMEOUT_MS, what: `xctl why ${trainer.pid} to name the network`, everyMs: 100 },
  ).catch((error: unknown) => {
    if (scope.signal.aborted) return false;
    say(`FAILED: ${error instanceof Error ? error.message : String(error)}`);
    console.log(JSON.stringify(last, null, 2));
    console.log(agent.proc.stderr.slice(-20).join('\n'));
    return false;
  });
  if (!found) return false;

  say(
    `xctl why ${trainer.pid} names the cause ${((performance.now() - dropped) / 1000).toFixed(1)} s after the first drop:`,
  );
  const text = await xctl(['why', String(trainer.pid), '--socket', agent.socket]);
  console.log(`\n$ xctl why ${trainer.pid}\n${text.stdout}`);
  return text.code === 0;
}

let right = false;
try {
  right = await demo();
} catch (error) {
  if (!scope.signal.aborted) say(`FAILED: ${error instanceof Error ? error.message : String(error)}`);
} finally {
  await scope.close();
}
say(right ? 'cleaned up; the answer was right' : 'cleaned up');
process.exit(right ? 0 : 1);
