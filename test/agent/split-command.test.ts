import t from 'tap';
import { splitCommand } from '../../src/agent/split-command.js';
import { fc } from '../lib/property.js';

t.test('words and quotes', async (t) => {
  const cases: readonly [string, readonly string[]][] = [
    ['a', ['a']],
    ['  a\t b\n', ['a', 'b']],
    [`a 'b c' "d \\"e\\" \\\\" f\\ g`, ['a', 'b c', 'd "e" \\', 'f g']],
    [`a'b'"c"d`, ['abcd']],
    [`a ''`, ['a', '']],
    [`"a b"/c`, ['a b/c']],
    [`a "\\n $x"`, ['a', '\\n $x']],
    [`a 'it'\\''s'`, ['a', "it's"]],
    [
      'a $HOME `id` $(id) | b ; c & > /x * ~ # d',
      ['a', '$HOME', '`id`', '$(id)', '|', 'b', ';', 'c', '&', '>', '/x', '*', '~', '#', 'd'],
    ],
  ];
  for (const [command, words] of cases) t.strictSame(splitCommand(command), words, command);
});

t.test('what cannot be meant', async (t) => {
  t.throws(() => splitCommand(''), { name: 'UsageError', message: /empty; name a program/ });
  t.throws(() => splitCommand(' \t'), { message: /empty/ });
  t.throws(() => splitCommand(`'' a`), { message: /empty/ });
  t.throws(() => splitCommand('a "b'), { message: /open "/ });
  t.throws(() => splitCommand("a 'b"), { message: /open '/ });
  t.throws(() => splitCommand('a \\'), { message: /backslash/ });
  t.throws(() => splitCommand('a\0b'), { message: /NUL/ });
});

t.test('quoted words come out as they went in', async (t) => {
  const word = fc.string({ unit: 'binary' }).filter((text) => !text.includes('\0'));
  const single = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;
  const double = (text: string): string => `"${text.replaceAll(/["\\]/g, '\\$&')}"`;
  fc.assert(
    fc.property(fc.array(word, { minLength: 1 }), fc.constantFrom(single, double), (words, quote) => {
      fc.pre(words[0] !== '');
      const out = splitCommand(words.map(quote).join(' '));
      return out.length === words.length && out.every((text, i) => text === words[i]);
    }),
  );
  t.pass();
});
