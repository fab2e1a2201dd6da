import { chmodSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { RuleStore } from '../../src/agent/rule-store.js';
import { until } from '../lib/until.js';
import { RULE, yamlOf } from '../rules/engine/texts.js';
import { flow, Story, stuck } from '../scene/build.js';
import { keptLog, tempFolder } from './fixtures.js';

interface Teardown {
  teardown(fn: () => unknown): void;
}

const WAIT = { timeoutMs: 20_000 };

async function store(t: Teardown, directory: string | undefined) {
  const kept = keptLog();
  const made = new RuleStore(directory, kept.log);
  t.teardown(() => made.stop());
  await made.start();
  return { rules: made, lines: kept.lines };
}

function put(directory: string, name: string, text: string): void {
  // As editors and ConfigMaps do: never a file half written.
  writeFileSync(join(directory, '.new'), text);
  renameSync(join(directory, '.new'), join(directory, name));
}

t.test('none at all', async (t) => {
  const { rules } = await store(t, undefined);
  t.match(rules.checks(), [{ status: 'off', name: 'rules', detail: /none were named/ }]);
  t.match(rules.stats(), { rules: 0, loads: 0 });
});

t.test('a change is noticed: a file that is added, spoiled, mended, removed', async (t) => {
  const directory = tempFolder(t);
  put(directory, 'a.yaml', yamlOf(RULE));
  const { rules, lines } = await store(t, directory);
  t.match(rules.checks(), [
    { status: 'ok', name: 'rules', detail: '1 rules of 1 files, 0 series remembered' },
  ]);
  put(directory, 'b.yaml', yamlOf({ ...RULE, name: 'b' }));
  await until(() => rules.stats().rules === 2, { ...WAIT, what: 'the second file' });
  put(directory, 'b.yaml', 'rules: [');
  await until(() => rules.stats().refusedFiles === 1, { ...WAIT, what: 'the bad file' });
  t.match(rules.checks(), [
    { status: 'degraded', detail: /^1 rules of 1 files.*; 1 files refused$/ },
    { status: 'degraded', name: 'rule file', detail: /^b\.yaml:1:\d+: not YAML/ },
  ]);
  t.ok(lines.some(({ msg, level }) => msg === 'rule file refused' && level === 'warn'));
  put(directory, 'b.yaml', yamlOf({ ...RULE, name: 'b' }));
  await until(() => rules.stats().rules === 2, { ...WAIT, what: 'the mended file' });
  rmSync(join(directory, 'a.yaml'));
  await until(() => rules.stats().rules === 1, { ...WAIT, what: 'the file to be forgotten' });
});

t.test('a directory that cannot be trusted any more: the rules of before stay, and it is said', async (t) => {
  const directory = tempFolder(t);
  put(directory, 'a.yaml', yamlOf(RULE));
  const { rules } = await store(t, directory);
  chmodSync(directory, 0o777);
  await rules.reload();
  t.match(rules.stats(), { rules: 1, failedLoads: 1 });
  t.match(rules.checks(), [
    { status: 'failed', detail: /may be written by everybody.*; 1 rules of before are kept$/ },
  ]);
  chmodSync(directory, 0o755);
  await rules.reload();
  t.match(rules.checks(), [{ status: 'ok' }]);
});

t.test('a directory that is not there: no rules, no end', async (t) => {
  const { rules } = await store(t, join(tempFolder(t), 'nowhere'));
  t.match(rules.checks(), [{ status: 'failed', detail: /cannot be read \(ENOENT\); there are no rules$/ }]);
});

t.test('many changes at once are one load after the other, the last one counts', async (t) => {
  const directory = tempFolder(t);
  const { rules } = await store(t, directory);
  const loads: Promise<void>[] = [];
  for (let n = 0; n < 20; n++) {
    put(directory, 'a.yaml', yamlOf({ ...RULE, name: `n${n}` }));
    loads.push(rules.reload());
  }
  await Promise.all(loads);
  t.ok(rules.stats().loads <= 4, `${rules.stats().loads} loads`);
  const story = pathDown();
  const answer = story.why(10);
  if (answer === undefined) throw new Error('no answer');
  t.same(
    rules.match(answer, story.graph, {}).hits.map(({ rule }) => rule),
    ['n19'],
  );
});

t.test('what was seen before a reload still counts after it', async (t) => {
  const directory = tempFolder(t);
  const rule = { ...RULE, when: { event: { type: 'transport.timeout', about: 'cause', count: { min: 2 } } } };
  put(directory, 'a.yaml', yamlOf(rule));
  const { rules } = await store(t, directory);
  const story = pathDown();
  for (const event of story.events) rules.observe(event);
  const ask = () => {
    const answer = story.why(10);
    return answer === undefined ? undefined : rules.match(answer, story.graph, {}).hits.length;
  };
  t.equal(ask(), 0, 'one so far');
  put(directory, 'b.yaml', yamlOf({ ...RULE, name: 'other', scene: 'GpuError', subScene: 'Ecc' }));
  await until(() => rules.stats().rules === 2, { ...WAIT, what: 'the second file' });
  const before = story.events.length;
  story.later(10).transport('transport.timeout', stuck(flow(1), story.now - 12_000), 6);
  for (const event of story.events.slice(before)) rules.observe(event);
  t.equal(ask(), 1);
  t.match(rules.stats(), { asked: 2, answered: 1 });
});

function pathDown(): Story {
  const story = new Story();
  story.seen(10, { comm: 'python3' });
  const attrs = story.owner(stuck(flow(1), story.now - 12_000), 10);
  story.transport('transport.timeout', attrs, 5).receives(10, attrs, { forMs: 12_000 }).pass();
  return story.later(1_000).receives(10, attrs, { forMs: 13_000 }).pass();
}
