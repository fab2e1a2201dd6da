/** The case library: what is written is read back, what is bad is told and left out, what is alike is found. */
import { chmodSync, chownSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import t from 'tap';
import { HIT, hitsAmong, makeCase, parseCase } from '../../src/diag/case.js';
import { addCase, findCase, readLibrary } from '../../src/diag/cases.js';
import {
  FEATURE,
  featuresFrom,
  featuresOf,
  likeness,
  VECTOR_SIZE,
  vectorOf,
} from '../../src/diag/features.js';
import type { WhyAnswer } from '../../src/scene/answer.js';
import { DEADLOCK, EXITED, HEALTHY, SYMPTOM, UNKNOWN, WHY } from '../cli/answers.js';
import { tempDir } from '../cli/helpers.js';
import { fc } from '../lib/property.js';

const WORDS = { title: undefined, cause: 'the switch had lost its uplink', steps: ['replace the cable'] };

/** The same thing on another node, at another time, with other names and numbers. */
const AGAIN: WhyAnswer = {
  ...WHY,
  node: 'gpu-99',
  ts: '2026-12-24T01:02:03.456Z',
  target: { ...WHY.target, pid: 77, comm: 'llama' },
  summary: 'no ACK from 172.16.9.9:7777 for 44.1 s: 9 timeouts in a row, 99 bytes unacked',
  chain: WHY.chain.map((link) => ({
    ...link,
    from: link.from.replace(/\d+/g, '7'),
    to: link.to.replace(/\d+/g, '7'),
    sinceMs: 44_100,
  })),
};

t.test('written, read back, found by an incident that looks the same', async (t) => {
  const dir = tempDir(t);
  const made = makeCase(WHY, { ...WORDS, name: 'uplink-lost' });
  const path = await addCase(dir, made);
  t.equal(path, join(dir, 'uplink-lost.yaml'));
  t.equal(statSync(path).mode & 0o777 & ~0o644, 0, 'nobody else may write to it');
  const { cases, refused } = await readLibrary(dir);
  t.same(refused, []);
  t.same(cases, [{ case: made, source: path }]);
  t.same(await findCase(dir, 'uplink-lost'), { case: made, source: path });
  t.equal(await findCase(dir, 'other'), undefined);

  const [hit] = hitsAmong(AGAIN, cases);
  t.match(hit, { name: 'uplink-lost', cause: WORDS.cause, steps: WORDS.steps, source: path });
  t.ok((hit?.likeness ?? 0) > 0.95, 'names and numbers do not matter');
  for (const other of [HEALTHY, SYMPTOM, UNKNOWN, EXITED, DEADLOCK])
    t.same(hitsAmong(other, cases), [], other.summary);
  await t.rejects(addCase(dir, made), { name: 'UsageError', message: /is there already/ });
});

t.test('a case holds no name', (t) => {
  const made = makeCase(WHY, { ...WORDS, name: 'a' });
  t.notMatch(JSON.stringify(made.looked), /10\.0\.0|4242|4250|81234|python3|gpu-07|loader/);
  t.same(
    made.looked.includes('link:process WaitsOn pipe') && made.looked.includes('evidence:transport.timeout'),
    true,
  );
  t.end();
});

t.test('alike, but not the same: the differences are told', (t) => {
  const made = makeCase(WHY, { ...WORDS, name: 'a' });
  const other: WhyAnswer = { ...WHY, chain: WHY.chain.slice(0, 2) };
  const [hit] = hitsAmong(other, [{ case: made, source: 'x' }]);
  t.match(hit, { onlyThere: ['link:process WaitsOn flow'], onlyHere: [] });
  t.ok(hit !== undefined && hit.likeness < 1 && hit.likeness >= HIT);
  t.same(
    hitsAmong({ ...WHY, subScene: 'ZeroWindow' }, [{ case: made, source: 'x' }]),
    [],
    'another sub-scene is another thing',
  );
  t.end();
});

t.test('no case out of nothing', (t) => {
  t.throws(() => makeCase(HEALTHY, { ...WORDS, name: 'a' }), {
    name: 'UsageError',
    message: /nothing is wrong/,
  });
  t.throws(() => makeCase(WHY, { ...WORDS, name: '../etc/passwd' }), {
    name: 'UsageError',
    message: /name must be/,
  });
  t.throws(() => makeCase(WHY, { ...WORDS, name: 'a', cause: ' ' }), {
    name: 'UsageError',
    message: /cause must be text/,
  });
  t.throws(() => makeCase(WHY, { ...WORDS, name: 'a', steps: ['x'.repeat(5_000)] }), {
    message: /step 1 must be/,
  });
  t.end();
});

t.test('bad files are left out and told, the good ones count', async (t) => {
  const dir = tempDir(t);
  const good = makeCase(WHY, { ...WORDS, name: 'good' });
  await addCase(dir, good);
  const text = readFileSync(join(dir, 'good.yaml'), 'utf8');
  const write = (name: string, content: string): void =>
    writeFileSync(join(dir, name), content, { mode: 0o644 });
  write('bomb.yaml', 'a: &a [x, x, x]\nb: &b [*a, *a, *a]\nc: [*b, *b, *b]\n');
  write('big.yaml', `${text}# ${'x'.repeat(300 << 10)}\n`);
  write('deep.yaml', '['.repeat(500));
  write('keys.yaml', `${text.replace('name: good', 'name: keys')}extra: 1\n`);
  write('html.yaml', '<html>\u001b[2J</html>');
  write('other.yaml', text);
  write('scene.yaml', text.replace('name: good', 'name: scene').replaceAll('NetworkStall', 'Nonsense'));
  write('proto.yaml', text.replace('name: good', 'name: proto\n__proto__: {polluted: yes}'));
  write('shared.yaml', text.replace('name: good', 'name: shared'));
  chmodSync(join(dir, 'shared.yaml'), 0o666);
  write('foreign.yaml', text.replace('name: good', 'name: foreign'));
  chownSync(join(dir, 'foreign.yaml'), 12_345, 0);
  mkdirSync(join(dir, 'folder.yaml'));
  execFileSync('mkfifo', [join(dir, 'fifo.yaml')]);
  symlinkSync('/dev/zero', join(dir, 'zero.yaml'));
  symlinkSync('nowhere', join(dir, 'dangling.yaml'));
  write('README.md', 'not looked at');

  const { cases, refused } = await readLibrary(dir);
  t.same(
    cases.map((its) => its.case.name),
    ['good'],
  );
  const reasons = new Map(refused.map(({ file, reason }) => [file.slice(dir.length + 1), reason]));
  for (const [file, reason] of [
    ['bomb.yaml', /aliases/],
    ['big.yaml', /over 256 KiB/],
    ['deep.yaml', /is no YAML/],
    ['keys.yaml', /"extra" is no part of a case/],
    ['html.yaml', /a case is a mapping|is no YAML/],
    ['other.yaml', /called otherwise than the case in it, good/],
    ['scene.yaml', /scene must be/],
    ['proto.yaml', /no part of a case/],
    ['shared.yaml', /written by everybody/],
    ['foreign.yaml', /belongs to uid 12345/],
    ['folder.yaml', /no regular file/],
    ['fifo.yaml', /no regular file/],
    ['zero.yaml', /no regular file/],
    ['dangling.yaml', /ENOENT/],
  ] as const) {
    t.match(reasons.get(file), reason, file);
    reasons.delete(file);
  }
  t.same([...reasons], [], 'and nothing else');
  t.notMatch(JSON.stringify(refused), /\\u001b/);
  t.same(Object.keys({}), [], 'no prototype was touched');
});

t.test('a directory that is none, or anybody may write to', async (t) => {
  const dir = tempDir(t, { file: 'x' });
  await t.rejects(readLibrary(join(dir, 'nowhere')), { name: 'UsageError', message: /cannot read .*ENOENT/ });
  await t.rejects(readLibrary(join(dir, 'file')), { name: 'UsageError', message: /is no directory/ });
  mkdirSync(join(dir, 'open'));
  chmodSync(join(dir, 'open'), 0o777);
  await t.rejects(readLibrary(join(dir, 'open')), { name: 'RefusedError', message: /written by everybody/ });
  await t.rejects(addCase(join(dir, 'nowhere'), makeCase(WHY, { ...WORDS, name: 'a' })), {
    name: 'UsageError',
  });
});

t.test('what is no case', (t) => {
  const good = makeCase(WHY, { ...WORDS, name: 'good' });
  t.same(parseCase(JSON.parse(JSON.stringify(good))), good);
  for (const bad of [
    null,
    [],
    'text',
    { ...good, apiVersion: 'xctl/v9' },
    { ...good, kind: 'Rule' },
    { ...good, name: 'Upper' },
    { ...good, title: '' },
    { ...good, closed: 'yesterday' },
    { ...good, subScene: 'a b' },
    { ...good, steps: [1] },
    { ...good, steps: new Array(99).fill('x') },
    { ...good, looked: [] },
    { ...good, looked: ['free text'] },
    { ...good, looked: new Array(500).fill('word:x') },
  ]) {
    t.throws(() => parseCase(bad), { name: 'CaseError' }, JSON.stringify(bad)?.slice(0, 60));
  }
  t.end();
});

const features = fc
  .uniqueArray(
    fc.constantFrom(...featuresOf(WHY).keys(), ...featuresOf(DEADLOCK).keys(), 'word:disk', 'ailment:full'),
    { minLength: 1 },
  )
  .map((names) => featuresFrom(names));

t.test('property: likeness and its hashed form', (t) => {
  fc.assert(
    fc.property(features, features, (a, b) => {
      const alike = likeness(a, b);
      const [va, vb] = [vectorOf(a), vectorOf(b)];
      const dot = va.reduce((sum, value, at) => sum + value * (vb[at] ?? 0), 0);
      return (
        Math.abs(alike - likeness(b, a)) < 1e-9 &&
        Math.abs(likeness(a, a) - 1) < 1e-9 &&
        alike >= 0 &&
        alike <= 1 &&
        va.length === VECTOR_SIZE &&
        Math.abs(Math.hypot(...va) - 1) < 1e-3 &&
        [...a.keys()].every((name) => FEATURE.test(name)) &&
        // Collisions of the hash move it, but near stays near and far stays far.
        Math.abs(dot - alike) < 0.35
      );
    }),
  );
  t.end();
});
