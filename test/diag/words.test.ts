/** The list of words that may leave knows the words of our own sentences: else a model would read half of them as names. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { isPlainWord, isUnit } from '../../src/diag/words.js';
import { ROOT } from '../lib/root.js';

/** Sentences only: text with a blank in it, or with a placeholder. */
function wordsOf(source: string): Set<string> {
  const code = source.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '');
  const words = new Set<string>();
  for (const [, single = '', template = ''] of code.matchAll(/'((?:[^'\\\n]|\\.)*)'|`((?:[^`\\]|\\.)*)`/g)) {
    const text = single + template.replace(/\$\{[^}]*\}/g, ' ');
    if (!/[a-z] [a-z]/.test(text)) continue;
    // A path, an address or a command's option is no word.
    for (const chunk of text.split(/\s+/)) {
      const core = chunk.replace(/^[("'[]+|[)"'\].,:;!?]+$/g, '').replace(/'s$/, '');
      if (/^[A-Za-z][a-z]+$/.test(core) && core !== 'undefined') words.add(core);
    }
  }
  return words;
}

t.test('sentences of src/scene and of the Xid catalogue', (t) => {
  const missing = new Set<string>();
  let seen = 0;
  for (const folder of ['scene', 'xid']) {
    for (const file of readdirSync(join(ROOT, 'src', folder))) {
      for (const word of wordsOf(readFileSync(join(ROOT, 'src', folder, file), 'utf8'))) {
        seen++;
        if (!isPlainWord(word)) missing.add(word.toLowerCase());
      }
    }
  }
  t.ok(seen > 500, 'they are found at all');
  t.same([...missing].sort(), [], 'add these to src/diag/words.ts, unless they name somebody');
  t.end();
});

t.test('types of nodes', (t) => {
  const model = readFileSync(join(ROOT, 'src', 'graph', 'model.ts'), 'utf8');
  const types = [...model.matchAll(/readonly type: '([a-z-]+)'|^ {2}\| '([a-z-]+)'$/gm)].map(
    ([, one, other]) => one ?? other ?? '',
  );
  t.ok(types.includes('block-device') && types.includes('pipe'), 'they are found at all');
  for (const type of types) t.ok(type.split('-').every(isPlainWord), type);
  t.end();
});

t.test('units', (t) => {
  for (const unit of ['ms', 'bytes', 'GiB', '%', 'timeouts,']) t.ok(isUnit(unit), unit);
  for (const word of ['python3', 'waits', '']) t.notOk(isUnit(word), word);
  t.end();
});
