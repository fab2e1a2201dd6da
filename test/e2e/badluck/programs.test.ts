/** `--probe` programs that misbehave, all at once, in a real agent: counted, bounded, and nobody else's problem. */
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Check } from '../../../src/api/contract.js';
import { startAgent } from '../../lib/agent.js';
import { rssBytes, startWorkload } from '../../lib/proc.js';
import { until } from '../../lib/until.js';
import { brief, untilWhy } from '../lib/ask.js';
import { checksOf, scratch, stackFlaws } from '../lib/raw-agent.js';
import { streamEvents } from '../lib/event-stream.js';

const EVENT = '{"type":"compute.step_time","entity":"gpu:0","value":12,"attrs":{}}';

const PROGRAMS: Readonly<Record<string, string>> = {
  good: `while echo '${EVENT}'; do sleep 0.2; done`,
  flood: `exec yes '${EVENT}'`,
  garbage: 'exec cat /dev/urandom',
  endless: `exec tr '\\0' x < /dev/zero`, // one line that never ends
  closed: `echo '${EVENT}'; exec 1>&-; exec sleep 60`,
  crash: `echo '${EVENT}'; kill -SEGV $$`,
  chatty: 'exec yes complaint >&2',
};

const MAX_RSS_BYTES = 240 * 1024 * 1024;

t.test('flood, garbage, an endless line, a closed pipe, a crash', async (t) => {
  const dir = scratch(t);
  const args = Object.entries(PROGRAMS).flatMap(([name, script]) => {
    const file = join(dir, name);
    writeFileSync(file, `#!/bin/sh\n${script}\n`);
    chmodSync(file, 0o755);
    return ['--probe', file];
  });
  const agent = await startAgent(t, { args: [...args, '--probe', join(dir, 'missing')] });
  const checkOf = async (name: string): Promise<Check | undefined> =>
    (await checksOf(agent.socket)).find((check) => check.name.endsWith(`(${name})`));
  const untilCheck = (name: string, fits: (check: Check) => boolean): Promise<Check> =>
    until(
      async () => {
        const check = await checkOf(name);
        return check !== undefined && fits(check) ? check : undefined;
      },
      { timeoutMs: 20_000, what: `doctor on ${name}`, everyMs: 100 },
    );

  await untilCheck('good', ({ status, detail }) => status === 'ok' && /^[1-9]\d* events/.test(detail));
  await untilCheck('flood', ({ detail }) => /^\d{3,} events/.test(detail));
  await untilCheck('garbage', ({ status, detail }) => status === 'degraded' && /refused/.test(detail));
  await untilCheck('endless', ({ status, detail }) => status === 'degraded' && /refused/.test(detail));
  await untilCheck('closed', ({ status, detail }) => status === 'failed' || /[1-9]\d* restarts/.test(detail));
  await untilCheck('crash', ({ status, detail }) => status === 'failed' || /[1-9]\d* restarts/.test(detail));
  await untilCheck('missing', ({ status, detail }) => status === 'failed' && /ENOENT/.test(detail));

  const stream = await streamEvents(t, agent, 'wait.pass,compute');
  await stream.find(
    (event) => event.type === 'compute.step_time' && event.probe === 'subprocess',
    'a custom event',
  );
  const stopped = await startWorkload(t, 'stopped');
  const peer = (await stopped.ready()).number('peer');
  const answer = await untilWhy(agent, stopped.pid, (a) => a.verdict === 'cause-found', {
    what: 'in the noise',
  });
  t.match(brief(answer), { subScene: 'Stopped', root: `pid:${peer}` });
  const rss = rssBytes(agent.pid) ?? Number.POSITIVE_INFINITY;
  t.ok(rss < MAX_RSS_BYTES, `RSS ${Math.round(rss / 1024 / 1024)} MB`);
  t.same(await agent.proc.stop('SIGTERM'), { code: 0, signal: null });
  t.same(stackFlaws(agent.proc.stderr.join('\n')), []);
});
