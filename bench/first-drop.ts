/**
 * From the first dropped packet to a right `xctl why`: a trainer and its peer in two network namespaces, all packets
 * dropped, the question asked again and again by the real command. Each round ends with the network healed and the
 * verdict gone. The clock starts when the drop is in force, which is at most one step of the trainer (some
 * milliseconds) before the first packet meets it.
 */
import type { WhyAnswer } from '../src/scene/answer.js';
import { startAgent } from '../test/lib/agent.js';
import { openScope } from '../test/lib/scope.js';
import { until } from '../test/lib/until.js';
import { createWorld } from '../test/lib/world.js';
import { progress, report } from './lib/report.js';
import { median, rounded } from './lib/stats.js';

const ROUNDS = 10;
const ASKED_S = 3;
/** Between two questions: the answer is in someone's hands at most this late. */
const ASK_EVERY_MS = 50;

const scope = openScope();

async function main(): Promise<void> {
  const world = await createWorld(scope);
  const agent = await startAgent(scope);
  const peer = await world.start('b', 'trainer', { role: 'peer', host: world.b.ipv4 });
  const port = (await peer.ready('listen')).number('port');
  const trainer = await world.start('a', 'trainer', { host: world.b.ipv4, port });
  const conn = await trainer.ready('connected');
  await trainer.line(/kind=step step=100$/);
  const ends = [
    `${conn.text('local')}-${conn.text('remote')}`,
    `${conn.text('remote')}-${conn.text('local')}`,
  ];
  const isRight = ({ verdict, scene, rootCause }: WhyAnswer): boolean =>
    verdict === 'cause-found' &&
    (scene === 'NetworkStall' || scene === 'NetworkDrop') &&
    ends.some((flow) => rootCause?.node === `flow:${flow}`);

  const seconds: number[] = [];
  let wrong = 0;
  for (let round = 1; round <= ROUNDS && !scope.signal.aborted; round++) {
    await world.drop();
    const dropped = performance.now();
    await until(
      async () => {
        const answer = await agent.why(trainer.pid);
        if (isRight(answer)) return true;
        if (answer.verdict === 'cause-found') wrong++;
        return false;
      },
      { timeoutMs: 30_000, what: `round ${round}: the drop`, everyMs: ASK_EVERY_MS },
    );
    seconds.push((performance.now() - dropped) / 1000);
    await world.undrop();
    const healed = async (): Promise<boolean> => (await agent.why(trainer.pid)).verdict === 'healthy';
    await until(healed, { timeoutMs: 60_000, what: `round ${round}: healthy again`, everyMs: ASK_EVERY_MS });
    progress(`first-drop: round ${round} of ${ROUNDS}: ${rounded(seconds.at(-1) ?? 0)} s`);
  }
  const worst = Math.max(...seconds);
  report({
    name: 'first-drop',
    asked: `<= ${ASKED_S} s`,
    measured: rounded(worst),
    unit: 's',
    ok: worst <= ASKED_S && wrong === 0,
    median: rounded(median(seconds)),
    rounds: seconds.length,
    /** Answers on the way that named another cause. */
    wrong,
  });
}

try {
  await main();
} finally {
  await scope.close();
}
