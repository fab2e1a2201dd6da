/**
 * The recordings of rules/tests are what the stories tell, and the walk says of each what its story says.
 * UPDATE_RECORDINGS=1 writes them anew.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t from 'tap';
import type { WhyAnswer } from '../../src/scene/answer.js';
import { flaws } from '../scene/well-formed.js';
import { DIRECTORY, filesOf, storyOf } from './recordings.js';
import { RULE_STORIES } from './stories/all.js';
import type { Told } from './stories/story.js';

/** Recordings of real faults, made by `xctl-agent --record`, are in the same directories under names of their own. */
const FROM_STORIES = /^(?:hit|miss)-\d+\.jsonl$/;
const MAX_BYTES = 64 * 1024;

function sceneOf({ scene, subScene, verdict }: WhyAnswer): string {
  if (scene === null) return verdict;
  return subScene === null ? scene : `${scene}/${subScene}`;
}

function present(): readonly string[] {
  return readdirSync(DIRECTORY, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && FROM_STORIES.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name).slice(DIRECTORY.length + 1))
    .sort();
}

t.test('what the walk says of each story', async (t) => {
  for (const { rule, hit, miss } of RULE_STORIES) {
    for (const [kind, one] of Object.entries({ hit, miss }) as [string, Told][]) {
      const answer = storyOf(one).why(one.ask);
      t.equal(answer === undefined ? undefined : sceneOf(answer), one.scene, `${rule}: ${kind}`);
      t.same(answer === undefined ? [] : flaws(answer), [], `${rule}: ${kind} is well-formed`);
    }
  }
});

t.test('the files say what the stories say', async (t) => {
  const files = filesOf(RULE_STORIES);
  if (process.env.UPDATE_RECORDINGS === '1') {
    for (const path of present()) rmSync(join(DIRECTORY, path));
    for (const { path, text } of files) {
      mkdirSync(dirname(join(DIRECTORY, path)), { recursive: true });
      writeFileSync(join(DIRECTORY, path), text);
    }
  }
  t.same(
    present(),
    files.map(({ path }) => path).sort(),
    'no more and no fewer; UPDATE_RECORDINGS=1 writes them',
  );
  for (const { path, text } of files) {
    t.equal(readFileSync(join(DIRECTORY, path), 'utf8'), text, path);
    t.ok(Buffer.byteLength(text) <= MAX_BYTES, `${path} is small`);
  }
});

t.test('each rule is told once', async (t) => {
  const names = RULE_STORIES.map(({ rule }) => rule);
  t.same(names, [...new Set(names)]);
});
