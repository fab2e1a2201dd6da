/** Bad usage: one line that says what to type instead, and exit code 2. */
import t from 'tap';
import { COMMANDS } from '../../src/cli/commands/index.js';
import { complete } from '../../src/cli/core/complete.js';
import { editDistance, nearest } from '../../src/cli/core/suggest.js';
import { RAW, runCli } from './helpers.js';
import { fc, runs } from '../lib/property.js';

const PID = 'xctl why: PID must be a number, e.g. xctl why 4242';
const PID_RANGE = 'xctl why: PID must be a number from 1 to 4194304, e.g. xctl why 4242';

const BAD: readonly (readonly [string, string | RegExp])[] = [
  [
    '',
    'xctl: type a command: why, diag, ps, top, events, graph, rules, cases, doctor, version, completion; e.g. xctl why 4242',
  ],
  ['wyh', 'xctl: no command "wyh"; did you mean xctl why?'],
  ['grpah', 'xctl: no command "grpah"; did you mean xctl graph?'],
  ['doc', 'xctl: no command "doc"; did you mean xctl doctor?'],
  ['zzzzzz', /^xctl: no command "zzzzzz"; there are why, diag, ps/],
  ['constructor', /^xctl: no command "constructor"; there are/],
  ['4242', 'xctl: no command "4242"; type xctl why 4242'],
  ['--tieout 3', 'xctl: no flag --tieout; did you mean --timeout?'],
  ['why abc', PID],
  ['why -1', PID_RANGE],
  ['why 0', PID_RANGE],
  ['why 4194305', PID_RANGE],
  ['why 4294967296', PID_RANGE],
  ['why +5', PID_RANGE],
  ['why 99999999999999999999', PID_RANGE],
  ['why 1e3', PID],
  ['why 0x10', PID],
  ['why 4.2', PID],
  ['why {}', PID],
  ['why 1 2', 'xctl why: "2" is one argument too many; it takes PID, e.g. xctl why 4242'],
  ['why -- 1 2', 'xctl why: "2" is one argument too many; it takes PID, e.g. xctl why 4242'],
  ['ps 1', 'xctl ps: "1" is one argument too many; it takes none, e.g. xctl ps'],
  ['why 1 -o', /^xctl why: --output must be text, json, yaml, dot, mermaid or html$/],
  ['why 1 -o xml', 'xctl why: --output must be text, json, yaml, dot, mermaid or html'],
  ['why 1 -ojsn', 'xctl why: --output must be text, json, yaml, dot, mermaid or html'],
  ['why 1 -o dot', 'xctl why: -o dot is not for why; it takes text, json, yaml'],
  ['why 1 --socket', 'xctl why: --socket needs a value, e.g. --socket /run/xctl/agent.sock'],
  ['why 1 --socket=', 'xctl why: --socket needs a value, e.g. --socket /run/xctl/agent.sock'],
  ['why 1 --timeout -3', 'xctl why: --timeout must be seconds from 0.001 to 86400, e.g. --timeout 10'],
  ['why 1 --timeout 0', /--timeout must be seconds/],
  ['why 1 --timeout 1e3', /--timeout must be seconds/],
  ['why 1 --timeout Infinity', /--timeout must be seconds/],
  ['why 1 --replya x', 'xctl why: no flag --replya; did you mean --replay?'],
  ['why 1 --constructor', /^xctl: these arguments make no sense together/],
  ['why 1 --__proto__.x=1', /^xctl why: no flag/],
  ['why 1 -q', /^xctl why: no flag -q; there are --output --socket/],
  ['events --type Evil!', /^xctl events: event types are a family or a whole type, e\.g\./],
  ['events --type', /event types are/],
  ['events --pid x', 'xctl events: --pid must be a number, e.g. xctl events --pid 4242'],
  ['events --for 0', /--for must be seconds/],
  ['graph --pid 1 --trouble', /^xctl graph: --pid and --trouble exclude each other/],
  ['graph --pid', 'xctl graph: --pid must be a number, e.g. xctl graph --pid 4242'],
  ['graph -o mermiad', /^xctl graph: --output must be text, /],
  ['ps -o html', 'xctl ps: -o html is not for ps; it takes text, json, yaml'],
  ['completion tcsh', 'xctl completion: SHELL must be bash, zsh or fish'],
];

for (const [line, expected] of BAD) {
  t.test(`xctl ${line}`, async (t) => {
    const { code, stdout, stderr } = await runCli(line === '' ? [] : line.split(' '));
    t.equal(code, 2);
    t.equal(stdout, '');
    t.equal(stderr.indexOf('\n'), stderr.length - 1, 'one line');
    if (typeof expected === 'string') t.equal(stderr.trimEnd(), expected);
    else t.match(stderr.trimEnd(), expected);
  });
}

t.test('an empty word is no pid', async (t) => {
  t.match(await runCli(['why', '']), { code: 2, stderr: `${PID}\n` });
});

t.test('XCTL_SOCKET must not be empty', async (t) => {
  t.match(await runCli(['ps'], { env: { XCTL_SOCKET: '' } }), { code: 2, stderr: /XCTL_SOCKET is empty/ });
});

t.test('whatever is typed: no crash, no stack, no control character', async () => {
  const word = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 12 }),
    fc.constantFrom(
      'why',
      'ps',
      '--',
      '-o',
      '-f',
      '--timeout',
      '--pid',
      '--replay',
      '__proto__',
      '--no-color',
      '-1',
    ),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(word, { maxLength: 5 }), async (words) => {
      const { code, stderr } = await runCli(['why', 'x', ...words]);
      return (code === 2 || code === 0) && !/^ {4}at /m.test(stderr) && !RAW.test(stderr);
    }),
    { numRuns: runs(60) },
  );
});

t.test('help is asked for, not an error', async (t) => {
  for (const line of [['--help'], ['-h'], ['help'], ['why', '--help'], ['why', '-h'], ['events', '--help']]) {
    const { code, stdout, stderr } = await runCli(line);
    t.equal(code, 0, line.join(' '));
    t.match(stdout, /xctl/);
    t.equal(stderr, '');
  }
  const { stdout } = await runCli(['--help']);
  for (const { name } of COMMANDS) t.match(stdout, new RegExp(`xctl ${name}`));
  t.match(stdout.replace(/\s+/g, ' '), /3 no agent, 4 no such process, 5 refused, 6 not resolved/);
});

t.test('nearest', async (t) => {
  t.equal(editDistance('why', 'wyh'), 1);
  t.equal(editDistance('', 'abc'), 3);
  t.equal(nearest('p', ['ps', 'why']), 'ps');
  t.equal(nearest('compl', ['completion', 'graph']), 'completion');
  t.equal(nearest('xyzxyz', ['ps', 'why']), undefined);
});

t.test('completion', async (t) => {
  const words = (...line: string[]): readonly string[] => {
    const completion = complete(line, COMMANDS);
    return completion.kind === 'words' ? completion.words : [completion.kind];
  };
  t.same(words('w'), ['why']);
  t.same(words('why', ''), ['pids']);
  t.same(words('why', '1', '--replay', ''), ['files']);
  t.same(words('--socket', ''), ['files']);
  t.same(words('ps', '-o', 'j'), ['json']);
  t.same(words('events', '--fo'), ['--follow', '--for']);
  t.same(words('events', '--type', 'tr'), ['transport']);
  t.same(words('events', '--pid', ''), ['pids']);
  t.same(words('ps', ''), []);
  t.same(words('completion', 'z'), ['zsh']);
});
