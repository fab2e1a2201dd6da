/** A thread in D state leads to the one device or server that does not answer, over whatever lies between. */
import t from 'tap';
import { type Agent, startAgent } from '../lib/agent.js';
import { chainFlaws, untilWhy } from './lib/ask.js';
import { STUCK } from './lib/stuck.js';

let agent: Agent;

t.before(async () => {
  agent = await startAgent(t);
});

for (const { name, missing, prepare } of STUCK) {
  const skip = (await missing()) ?? false;
  t.test(name, { skip }, async (t) => {
    const { pid, culprit, stick, release } = await prepare(t);
    await stick();
    const answer = await untilWhy(agent, pid, (a) => a.verdict === 'cause-found', { what: name });
    t.equal(answer.scene, 'StorageSlow');
    t.equal(answer.rootCause?.node, culprit, JSON.stringify(answer, null, 1));
    t.same(chainFlaws(answer), [], 'the chain holds');
    await release();
  });
}
