/** Storage and host: every fault is named by its cause, along a chain that holds, and let go when it is over. */
import t from 'tap';
import { type Agent, startAgent } from '../lib/agent.js';
import { chainFlaws, untilWhy } from './lib/ask.js';
import { BIO_FAULTS } from './lib/bio-faults.js';
import { FAULTS } from './lib/faults.js';

let agent: Agent;

t.before(async () => {
  agent = await startAgent(t);
});

for (const fault of [...FAULTS, ...BIO_FAULTS]) {
  const missing = await fault.missing();
  t.test(fault.name, missing === undefined ? {} : { skip: missing }, async (t) => {
    const { pid, inject, right, heal } = await fault.prepare(t);
    const before = await agent.why(pid);
    // A machine that is busy with other things may hold it up already, and says so.
    const busy = before.subScene === 'CpuStarved';
    t.ok(busy || before.verdict !== 'cause-found', `nothing is made up before: ${before.summary}`);
    await inject();
    const answer = await untilWhy(agent, pid, right, { what: fault.name, timeoutMs: 20_000 });
    t.equal(answer.verdict, 'cause-found');
    t.same(chainFlaws(answer), [], 'the chain holds');
    t.ok(answer.evidence.length > 0, 'there is evidence');
    if (heal === undefined) return;
    await heal();
    await untilWhy(agent, pid, (a) => a.verdict !== 'cause-found', { what: 'let go', timeoutMs: 90_000 });
  });
}
