/** Every kind of bad rule file: one clear line that names the place, and the good files stay. */
import { chmodSync, chownSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import t from 'tap';
import { loadRules, rulesOfTexts } from '../../../src/rules/load.js';
import { RefusedFileError, trustedOwners } from '../../../src/rules/files.js';
import { tempFolder } from '../../agent/fixtures.js';
import { errorsOf, RULE, yamlOf } from './texts.js';
import { fc, runs } from '../../lib/property.js';

const HEAD = 'apiVersion: xctl/v1\nrules:\n';
const GOOD = yamlOf(RULE);

/** What stands in the file, and the line that it is refused with. */
const BAD: readonly (readonly [what: string, text: string, line: RegExp])[] = [
  ['nothing', '', /^0\.yaml:1:1: is empty$/],
  ['no YAML', `${HEAD}  - name: [a\n`, /^0\.yaml:\d+:\d+: not YAML: /],
  ['a tab', `${HEAD}\t- name: a\n`, /^0\.yaml:3:\d+: not YAML/],
  ['no mapping', '- a\n', /^0\.yaml:1:1: must be a mapping, not a list$/],
  ['two documents', `${GOOD}---\n${GOOD}`, /^0\.yaml:1:1: holds several YAML documents/],
  ['the same key twice', `${HEAD}  - name: a\n    name: b\n`, /^0\.yaml:4:\d+: not YAML: .*duplicate/i],
  [
    'another version',
    GOOD.replace('xctl/v1', 'xctl/v9'),
    /^0\.yaml:1:1: apiVersion: must be xctl\/v1, not "xctl\/v9"$/,
  ],
  [
    'an unknown key',
    yamlOf({ ...RULE, prority: 3 }),
    /^0\.yaml:\d+:\d+: rules\[0\]\.prority: no key "prority"; there are name, /,
  ],
  [
    'a key that objects have',
    yamlOf({ ...RULE, constructor: 3 }),
    /rules\[0\]\.constructor: no key "constructor"/,
  ],
  ['__proto__', `${GOOD}__proto__: { x: 1 }\n`, /no key "__proto__"/],
  ['a missing key', GOOD.replace(/.*title.*\n/, ''), /rules\[0\]: has no title$/],
  [
    'a threshold of NaN',
    yamlOf({ ...RULE, when: { event: { type: 'error.xid', count: { min: 1 } } } }).replace(
      'min: 1',
      'min: .nan',
    ),
    /count\.min: must be a whole number, not NaN$/,
  ],
  [
    'an infinite one',
    yamlOf({ ...RULE, when: { finding: { confidence: { min: 1 } } } }).replace('min: 1', 'min: .inf'),
    /confidence\.min: must be a number, not Infinity$/,
  ],
  [
    'text for a number',
    yamlOf({ ...RULE, priority: '7' }),
    /rules\[0\]\.priority: must be a whole number, not the text "7"$/,
  ],
  [
    'two conditions in one',
    yamlOf({ ...RULE, when: { not: { rule: 'a' }, rule: 'b' } }),
    /rules\[0\]\.when: must have one key, not 2 \("not", "rule"\); put several under all or any$/,
  ],
  [
    'a scene that is none',
    yamlOf({ ...RULE, scene: 'Network' }),
    /rules\[0\]\.scene: must be GpuOom, .* or ProcessCrash, not "Network"$/,
  ],
  [
    'a sub-scene that is none',
    yamlOf({ ...RULE, subScene: 'Sideways' }),
    /no sub-scene Sideways of NetworkStall; there are PathDown/,
  ],
  [
    'an event type that is none',
    yamlOf({ ...RULE, when: { event: { type: 'error.xids' } } }),
    /when\.event\.type: no event type error\.xids in the catalogue; .* is custom:error\.xids$/,
  ],
  [
    'an attribute that is none',
    yamlOf({ ...RULE, when: { event: { type: 'error.hw', where: { clss: 'nvme' } } } }),
    /where\.clss: error\.hw has no clss; there are value, class, severity/,
  ],
  [
    'a part of plain text',
    yamlOf({ ...RULE, when: { event: { type: 'error.hw', where: { 'message.x': 1 } } } }),
    /error\.hw has no x; it has no parts$/,
  ],
  [
    'a node attribute that is none',
    yamlOf({ ...RULE, when: { node: { type: 'gpu', attrs: { heat: 1 } } } }),
    /attrs\.heat: no attribute heat; there are name, /,
  ],
  [
    'a node type that is none',
    yamlOf({ ...RULE, when: { node: { type: 'disk' } } }),
    /node type disk; there are process, flow/,
  ],
  ['a probe that is none', yamlOf({ ...RULE, applies: { probes: ['xdp'] } }), /no probe xdp; there are tcp/],
  [
    'a long window',
    yamlOf({ ...RULE, when: { event: { type: 'error.xid', within: '30d' } } }),
    /within: nothing is remembered for longer than 7d$/,
  ],
  [
    'a window that is none',
    yamlOf({ ...RULE, when: { event: { type: 'error.xid', within: '10 min' } } }),
    /"10 min" is not of the form 500ms, 30s, 10m, 24h, 7d$/,
  ],
  [
    'bursts as long as the window',
    yamlOf({ ...RULE, when: { event: { type: 'error.xid', recurs: { times: 3, apart: '10m' } } } }),
    /recurs\.apart: is as long as the window/,
  ],
  [
    'a number without a bound',
    yamlOf({ ...RULE, when: { event: { type: 'error.xid', value: { how: 'max' } } } }),
    /value: has no bound/,
  ],
  [
    'too many stars',
    yamlOf({ ...RULE, when: { finding: { cause: '*a'.repeat(9) } } }),
    /finding\.cause: the pattern has more than 8 stars$/,
  ],
  [
    'a long pattern',
    yamlOf({ ...RULE, when: { finding: { cause: 'a'.repeat(129) } } }),
    /is 129 characters long, over 128$/,
  ],
  [
    'a placeholder that is none',
    yamlOf({ ...RULE, rootCause: '{cuase.id} is stuck' }),
    /rootCause: \{cuase\.id\}: no cuase; there are target, cause/,
  ],
  [
    'a field that is none',
    yamlOf({ ...RULE, rootCause: '{cause.pid}' }),
    /\{cause\.pid\}: cause has id, name, type, summary, ailment, attr\.NAME$/,
  ],
  [
    'an open brace',
    yamlOf({ ...RULE, rootCause: 'a { b' }),
    /rootCause: "\{ b" is no placeholder; write \{\{ for a brace$/,
  ],
  [
    'a name from under not',
    yamlOf({ ...RULE, when: { not: { event: { type: 'error.xid', as: 'x' } } } }),
    /as: what stands under not has no name/,
  ],
  [
    'a name twice',
    yamlOf({
      ...RULE,
      when: { all: [{ node: { type: 'gpu', as: 'a' } }, { node: { type: 'qp', as: 'a' } }] },
    }),
    /a is named twice$/,
  ],
  [
    'a name that is taken',
    yamlOf({ ...RULE, when: { node: { type: 'gpu', as: 'gpu' } } }),
    /gpu means something already; take another name$/,
  ],
  [
    'a first command that acts',
    yamlOf({
      ...RULE,
      steps: [{ text: 'Kill it.', run: ['kill', '-9', '{target.pid}'], risk: 'destructive' }],
    }),
    /steps\[0\]\.risk: the first command must be read-only/,
  ],
  [
    'over 64 conditions',
    yamlOf({
      ...RULE,
      when: {
        all: Array.from({ length: 3 }, () => ({
          any: Array.from({ length: 30 }, (_, at) => ({ finding: { cause: `a${at}` } })),
        })),
      },
    }),
    /a rule has at most 64 conditions$/,
  ],
  [
    'deep nesting',
    `${GOOD}x: ${'['.repeat(40)}${']'.repeat(40)}\n`,
    /^0\.yaml:\d+:\d+: not YAML: .*(?:depth|nest)/i,
  ],
  [
    'a scene and no more',
    GOOD.replace(/.*subScene.*\n/, ''),
    /path-down holds for every finding of NetworkStall; give it a subScene or a when$/,
  ],
  [
    'a when that holds always',
    yamlOf({ ...RULE, when: { any: [{ rule: 'x' }, { node: { type: 'process' } }] } }),
    /rules\[0\]\.when: path-down holds always/,
  ],
  [
    'a count of none or more',
    yamlOf({ ...RULE, when: { event: { type: 'error.xid', count: { min: 0 } } } }),
    /holds always/,
  ],
  [
    'one or its opposite',
    yamlOf({ ...RULE, when: { any: [{ node: { type: 'gpu' } }, { not: { node: { type: 'gpu' } } }] } }),
    /holds always/,
  ],
  [
    'one and its opposite',
    yamlOf({ ...RULE, when: { all: [{ node: { type: 'gpu' } }, { not: { node: { type: 'gpu' } } }] } }),
    /can never hold/,
  ],
  [
    'bounds without room',
    yamlOf({ ...RULE, when: { event: { type: 'error.xid', count: { min: 5, max: 3 } } } }),
    /can never hold/,
  ],
  [
    'a confidence over 1',
    yamlOf({ ...RULE, when: { finding: { confidence: { above: 1 } } } }),
    /can never hold/,
  ],
  [
    'a reference to nobody',
    yamlOf({ ...RULE, when: { rule: 'other' } }),
    /rules\[0\]\.when\.rule: no rule other, in no file that was taken$/,
  ],
  [
    'itself',
    yamlOf({ ...RULE, when: { not: { rule: 'path-down' } } }),
    /when\.not\.rule: goes in a circle: path-down → path-down$/,
  ],
  [
    'a rule of another scene',
    yamlOf({ ...RULE, when: { rule: 'b' } }, { ...RULE, name: 'b', scene: 'GpuError', subScene: 'Ecc' }),
    /b is about GpuError: it never holds for NetworkStall$/,
  ],
];

for (const [what, text, line] of BAD) {
  t.test(`refused: ${what}`, async (t) => {
    const lines = errorsOf(text);
    t.match(lines[0], line);
    t.notMatch(lines.join('\n'), /\n.*\n.*at /, 'no stack');
    const { state } = rulesOfTexts([
      { file: 'bad.yaml', text },
      { file: 'good.yaml', text: yamlOf({ ...RULE, name: 'good' }) },
    ]);
    t.match(state, { rules: 1, files: ['good.yaml'] }, 'the good one is kept');
  });
}

t.test('every sound file is taken', async (t) => t.same(errorsOf(GOOD), []));

t.test('the line and the column are those of the key', async (t) => {
  const text = `${HEAD}  - name: a\n    title: "ä"\n    scene: NetworkStall\n    subScene: PathDown\n    priority: 101\n    rootCause: x\n    steps: [{ text: a, run: [] }]\n`;
  t.same(errorsOf(text), [
    '0.yaml:7:5: rules[0].priority: must be at most 100, not 101',
    '0.yaml:9:24: rules[0].steps[0].run: must not be empty',
  ]);
});

t.test('an alias bomb is refused in no time', async (t) => {
  const levels = Array.from(
    { length: 9 },
    (_, at) => `a${at + 1}: &a${at + 1} [${Array(5).fill(`*a${at}`).join(', ')}]`,
  );
  const bomb = `a0: &a0 [x]\n${levels.join('\n')}\n${GOOD}`;
  t.match(errorsOf(bomb), [/^0\.yaml:\d+:\d+: .*holds over 50000 values with its aliases written out$/]);
  const many = `a0: &a0 x\nb: [${Array(60).fill('*a0').join(', ')}]\n${GOOD}`;
  t.match(errorsOf(many), [/^0\.yaml:\d+:\d+: not YAML: .*alias/i]);
  t.match(errorsOf(`a: &a [*a]\n${GOOD}`), [/^0\.yaml:\d+:\d+: /]);
});

t.test('aliases in moderation are fine', async (t) => {
  const text = `${HEAD}  - &one { name: a, title: a, scene: NetworkStall, subScene: PathDown, priority: 1, rootCause: a, steps: &steps [{ text: a }] }
  - { name: b, title: b, scene: NetworkStall, subScene: PathDown, priority: 1, rootCause: b, steps: *steps }\n`;
  t.same(errorsOf(text), []);
});

t.test('names that are there twice: the first one stays', async (t) => {
  t.match(errorsOf(yamlOf(RULE, RULE)), [
    /rules\[1\]\.name: there is a rule path-down already, at 0\.yaml:3$/,
  ]);
  t.match(errorsOf(GOOD, yamlOf(RULE)), [
    /^1\.yaml:3:\d+: rules\[0\]\.name: there is a rule path-down already, at 0\.yaml:3$/,
  ]);
});

t.test('a circle over several files: all of them, and who leans on them', async (t) => {
  const file = (name: string, other: string): string => yamlOf({ ...RULE, name, when: { rule: other } });
  t.match(errorsOf(file('a', 'b'), file('b', 'c'), file('c', 'a'), file('d', 'c'), yamlOf(RULE)), [
    /^0\.yaml:.*goes in a circle: a → b → c → a$/,
    /^1\.yaml:.*circle: b → c → a → b$/,
    /^2\.yaml:.*circle: c → a → b → c$/,
    /^3\.yaml:.*no rule c, in no file that was taken$/,
  ]);
});

t.test('what a bad file named belongs to nobody: the next one with the name is taken', async (t) => {
  const bad = yamlOf({ ...RULE, when: { rule: 'nobody' } });
  const { state } = rulesOfTexts([
    { file: '0.yaml', text: bad },
    { file: '1.yaml', text: GOOD },
  ]);
  t.match(state, { files: ['1.yaml'], refused: [{ file: '0.yaml', errors: [/no rule nobody/] }] });
  t.equal(state.refused.length, 1);
});

t.test('control characters of a file do not reach a message', async (t) => {
  const lines = errorsOf(yamlOf({ ...RULE, 'x\u001b[31m': 1 }));
  t.notMatch(lines.join('\n'), '\u001b');
});

t.test('TOML: the same rules, the same checks, with places', async (t) => {
  const toml = (priority: string): string => `apiVersion = "xctl/v1"
# a rule
[[rules]]
name = "path-down"
title = 'A path is down'
scene = "NetworkStall"
subScene = ["PathDown"]
priority = ${priority}
rootCause = """{cause.id}
is stuck"""
[rules.when.event]
type = "topo.link_down"
where = { driver = ["a]", "b"], value.min = 1 }
[[rules.steps]]
text = "Look."
run = [
  "ss", # sockets
  "-tin",
]
[[rules.steps]]
text = "Act."
risk = "harmless"
`;
  const errors = (text: string): readonly string[] =>
    rulesOfTexts([{ file: 'a.toml', text }]).state.refused.flatMap((file) => file.errors);
  t.same(errors(toml('5').replace('harmless', 'disruptive')), []);
  t.match(errors(toml('nan')), [
    /^a\.toml:8:1: rules\[0\]\.priority: must be a whole number, not NaN$/,
    /^a\.toml:22:1: rules\[0\]\.steps\[1\]\.risk: must be read-only, disruptive or destructive/,
  ]);
  t.match(errors(toml('1979-05-27')), [/priority: must be a whole number, not a date$/, /risk/]);
  t.match(errors(toml('= 3')), [/^a\.toml:8:\d+: not TOML: /]);
  t.match(errors(''), [/is empty/]);
  t.match(errors(toml('5').replace('driver', 'drivr').replace('harmless', 'disruptive')), [
    /^a\.toml:13:11: .*no drivr/,
  ]);
});

t.test('files that are not to be trusted, or not to be read', async (t) => {
  const directory = tempFolder(t);
  const put = (name: string, text: string | Buffer, mode = 0o644): string => {
    const path = join(directory, name);
    writeFileSync(path, text, { mode });
    chmodSync(path, mode);
    return path;
  };
  put('a-good.yaml', GOOD);
  put('b-world.yaml', yamlOf({ ...RULE, name: 'b' }), 0o646);
  chownSync(put('c-group.yaml', yamlOf({ ...RULE, name: 'c' }), 0o664), 0, 65_534);
  chownSync(put('d-foreign.yaml', yamlOf({ ...RULE, name: 'd' })), 65_534, 65_534);
  put('e-large.yaml', `${GOOD}#${'x'.repeat(10 * 1024 * 1024)}`);
  put('f-latin.yaml', Buffer.from([0x61, 0xe4, 0x0a]));
  mkdirSync(join(directory, 'g-folder.yaml'));
  execFileSync('mkfifo', ['-m', '644', join(directory, 'h-fifo.yaml')]);
  symlinkSync('/nonexistent', join(directory, 'i-dangling.yaml'));
  symlinkSync(join(directory, 'd-foreign.yaml'), join(directory, 'j-link-to-foreign.yaml'));
  put('notes.txt', 'not a rule');
  put('.hidden.yaml', 'not read');
  const { state } = await loadRules(directory);
  t.same(state.files, ['a-good.yaml']);
  t.match(
    state.refused.map(({ errors }) => errors.join('\n')),
    [
      /^b-world\.yaml: may be written by everybody \(mode 646\); chmod go-w$/,
      /^c-group\.yaml: may be written by group 65534 \(mode 664\); chmod g-w, or chgrp root$/,
      /^d-foreign\.yaml: belongs to uid 65534; only what belongs to root is taken \(chown root\)$/,
      /^e-large\.yaml: is 10241 KiB, over 256 KiB; split it$/,
      /^f-latin\.yaml: is not UTF-8$/,
      /^g-folder\.yaml: is no regular file$/,
      /^h-fifo\.yaml: is no regular file$/,
      /^i-dangling\.yaml: cannot be read \(ENOENT\)$/,
      /^j-link-to-foreign\.yaml: belongs to uid 65534/,
    ],
  );
});

t.test("a group that is root's or the owner's own is nobody else", async (t) => {
  const directory = tempFolder(t);
  for (const [name, uid, gid] of [
    ['a', 0, 0],
    ['b', 1_000, 1_000],
    ['c', 1_000, 0],
    ['d', 0, 1_000],
    ['e', 1_000, 1_001],
    ['f', 1_001, 1_001],
  ] as const) {
    const path = join(directory, `${name}.yaml`);
    writeFileSync(path, yamlOf({ ...RULE, name }));
    chmodSync(path, 0o664);
    chownSync(path, uid, gid);
  }
  chmodSync(directory, 0o775);
  const { state } = await loadRules(directory, trustedOwners(1_000));
  t.same(state.files, ['a.yaml', 'b.yaml', 'c.yaml']);
  t.match(
    state.refused.map(({ errors }) => errors.join('\n')),
    [
      /^d\.yaml: may be written by group 1000 /,
      /^e\.yaml: may be written by group 1001 /,
      /^f\.yaml: belongs to uid 1001; only what belongs to root or uid 1000 is taken/,
    ],
  );
});

t.test('a directory that everybody may write to holds no rules', async (t) => {
  const directory = tempFolder(t);
  writeFileSync(join(directory, 'a.yaml'), GOOD);
  chmodSync(directory, 0o1777);
  await t.rejects(
    loadRules(directory),
    new RefusedFileError('may be written by everybody (mode 1777); chmod go-w'),
  );
  await t.rejects(loadRules(join(directory, 'a.yaml')), new RefusedFileError('is no directory'));
  await t.rejects(loadRules(join(directory, 'nowhere')), new RefusedFileError('cannot be read (ENOENT)'));
});

t.test('whatever stands in a file: rules, or lines that name it, and never anything else', async () => {
  const toml = 'apiVersion = "xctl/v1"\n[[rules]]\nname = "a"\nwhen = { event = { type = "error.xid" } }\n';
  const spoiled = fc
    .tuple(fc.constantFrom(GOOD, toml), fc.nat(), fc.nat({ max: 9 }), fc.string({ maxLength: 9 }))
    .map(([text, at, length, other]) => {
      const from = at % (text.length + 1);
      return text.slice(0, from) + other + text.slice(from + length);
    });
  fc.assert(
    fc.property(fc.constantFrom('a.yaml', 'a.toml'), fc.oneof(fc.string(), spoiled), (file, text) => {
      const { refused, rules } = rulesOfTexts([{ file, text }]).state;
      const lines = refused.flatMap(({ errors }) => errors);
      if (refused.length === 0) return rules > 0;
      return (
        rules === 0 &&
        lines.length > 0 &&
        lines.every((line) => /^a\.(?:yaml|toml):[1-9]\d*:[1-9]\d*: ./.test(line))
      );
    }),
    { numRuns: runs(2_000) },
  );
});
