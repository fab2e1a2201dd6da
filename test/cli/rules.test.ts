import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { RULE, yamlOf } from '../rules/engine/texts.js';
import { recordingOf } from '../rules/recordings.js';
import { flow, Story, stuck } from '../scene/build.js';
import { RAW, runCli, tempDir } from './helpers.js';

/** A directory of rules with recordings: `a` holds for process 10, `b` does not. */
function directory(t: Test, more: Readonly<Record<string, string>> = {}): string {
  const dir = tempDir(t, { 'a.yaml': yamlOf({ ...RULE, name: 'a' }), ...more });
  for (const rule of ['a']) mkdirSync(join(dir, 'tests', rule), { recursive: true });
  writeFileSync(join(dir, 'tests/a/hit-10.jsonl'), recordingOf(pathDown()));
  writeFileSync(join(dir, 'tests/a/miss-11.jsonl'), recordingOf(pathDown().seen(11).runs(11).pass([10])));
  return dir;
}

function pathDown(): Story {
  const story = new Story();
  story.seen(10, { comm: 'python3' });
  const attrs = story.owner(stuck(flow(1), story.now - 12_000), 10);
  story.transport('transport.timeout', attrs, 5).receives(10, attrs, { forMs: 12_000 }).pass();
  return story.later(1_000).receives(10, attrs, { forMs: 13_000 }).pass();
}

t.test('list, show and lint of what is sound', async (t) => {
  const dir = directory(t);
  const list = await runCli(['rules', '--rules', dir]);
  t.match(list, { code: 0, stderr: '' });
  t.match(
    list.stdout,
    /^RULE +PRIORITY +SCENE +TITLE\na +50 +NetworkStall\/PathDown +A path is down\n1 rules in 1 files\n$/,
  );
  const json = await runCli(['rules', 'list', '--rules', dir, '-o', 'json']);
  t.match(JSON.parse(json.stdout), {
    rules: [{ name: 'a', scene: ['NetworkStall'], source: 'a.yaml:3' }],
    state: { rules: 1 },
  });
  const show = await runCli(['rules', 'show', 'a', '--rules', dir]);
  t.match(show, { code: 0, stdout: /What to do\n +1\. Look\. \$ ss -tin\n/ });
  t.match(await runCli(['rules', 'lint', '--rules', dir]), { code: 0, stdout: '1 rules in 1 files\n' });
});

t.test('a file that is refused: its lines, the others kept, exit code 5', async (t) => {
  const dir = directory(t, { 'b.yaml': yamlOf({ ...RULE, name: 'b', 'x\u001b[2J': 1 }) });
  const { code, stdout, stderr } = await runCli(['rules', 'lint', '--rules', dir]);
  t.equal(code, 5);
  t.match(stdout, /^refused b\.yaml:\d+:\d+: rules\[0\]\..*no key.*\n1 rules in 1 files, 1 files refused\n$/);
  t.notMatch(stdout, RAW);
  t.equal(stderr, 'xctl rules: 1 of 2 files are refused\n');
});

t.test('a directory that anybody may write to', async (t) => {
  const dir = directory(t);
  chmodSync(dir, 0o777);
  const { code, stderr } = await runCli(['rules', 'list', '--rules', dir]);
  t.equal(code, 5);
  t.match(stderr, /^xctl rules: .* may be written by everybody \(mode 777\); chmod go-w\n$/);
});

t.test('test: one line a rule', async (t) => {
  const dir = directory(t);
  t.match(await runCli(['rules', 'test', '--rules', dir]), {
    code: 0,
    stdout: 'ok   a  1 hit, 1 miss\n1 of 1 rules pass\n',
  });
});

t.test('test: what fails is said with the reason', async (t) => {
  const dir = directory(t, {
    'b.yaml': yamlOf({ ...RULE, name: 'b' }, { ...RULE, name: 'c', priority: 99 }),
  });
  mkdirSync(join(dir, 'tests/b'));
  mkdirSync(join(dir, 'tests/gone'));
  writeFileSync(join(dir, 'tests/b/hit-11.jsonl'), recordingOf(pathDown().seen(11).runs(11).pass([10])));
  writeFileSync(join(dir, 'tests/b/hit-10-behind.jsonl'), recordingOf(pathDown()));
  writeFileSync(join(dir, 'tests/b/miss-10.jsonl'), recordingOf(pathDown()));
  writeFileSync(join(dir, 'tests/b/miss-12.jsonl'), recordingOf(pathDown()));
  writeFileSync(join(dir, 'tests/b/hit-13.jsonl'), 'no recording\n');
  writeFileSync(join(dir, 'tests/b/other.txt'), '');
  const { code, stdout, stderr } = await runCli(['rules', 'test', '--rules', dir]);
  t.equal(code, 5);
  t.equal(stderr, 'xctl rules: 3 of 4 rules fail their tests\n');
  t.match(stdout, /^ok {3}a +1 hit, 1 miss\n {7}hit-10\.jsonl: told after c\nFAIL b +3 hit, 2 miss\n/);
  for (const line of [
    /hit-11\.jsonl: does not hold \(the answer is healthy : /,
    /hit-13\.jsonl: .* is not a recording/,
    /miss-10\.jsonl: holds, and must not/,
    /miss-12\.jsonl: knows no process 12/,
    /other\.txt: is not named hit-PID\.jsonl or miss-PID\.jsonl/,
    /FAIL c +0 hit, 0 miss\n +has no recording hit-PID\.jsonl\n +has no recording miss-PID\.jsonl\n/,
    /FAIL gone +0 hit, 0 miss\n +there are recordings, and no such rule\n/,
  ])
    t.match(stdout, line);
});

t.test('wrong words', async (t) => {
  const dir = directory(t);
  for (const [words, line] of [
    [['rules', 'shw'], /WHAT must be list, show, lint or test/],
    [['rules', 'show', '--rules', dir], /which rule\?/],
    [['rules', 'show', 'aa', '--rules', dir], /no rule aa; did you mean a\?/],
    [['rules', 'list', 'a', '--rules', dir], /list takes no name; type xctl rules show a/],
    [['rules', 'test', 'zzzz', '--rules', dir], /no rule zzzz/],
    [
      ['rules', 'test', '--rules', dir, '--tests', join(dir, 'none')],
      /none: no recordings there; the package brings none, a checkout has them in rules\/tests; name a directory by --tests/,
    ],
  ] as const)
    t.match(await runCli(words), { code: 2, stdout: '', stderr: line });
});
