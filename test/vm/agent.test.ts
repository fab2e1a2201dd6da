/** The agent gets ready on any kernel, and whatever it lacks there it says. */
import t from 'tap';
import { startAgent } from '../lib/agent.js';

interface Check {
  readonly status: string;
  readonly name: string;
  readonly detail: string;
}

t.test('ready, and each check has its reason', async (t) => {
  const agent = await startAgent(t);
  const doctor = await agent.xctl('doctor', '-o', 'json');
  t.equal(doctor.code, 0, doctor.stderr);
  const { checks } = JSON.parse(doctor.stdout) as { readonly checks: readonly Check[] };
  t.ok(checks.length > 0);
  for (const { status, name, detail } of checks) {
    if (status !== 'ok') t.comment(`${status} ${name}: ${detail}`);
    t.ok(status === 'ok' || detail.length > 0, name);
  }
  t.ok(
    checks.some((check) => check.name === 'probe process' && check.status !== 'failed'),
    'processes are seen on every kernel',
  );
  const answer = await agent.why(process.pid);
  // An emulated machine may well be short of CPU.
  t.ok(answer.verdict !== 'cause-found' || answer.subScene === 'CpuStarved', answer.summary);
});
