/**
 * Rules of all files together: names that are there twice, references that lead nowhere or in a circle, more patterns to
 * search for than an event can bear. A file that is refused takes its rules with it, so files that lean on them are looked at again, until nothing changes.
 */
import { listOf } from './field-test.js';
import type { Condition } from './model.js';
import type { ParsedFile, PlacedRule } from './parse.js';
import type { Path } from './schema-check.js';
import { SearchBudget } from './search-budget.js';

export const MAX_RULES = 2_000;

export interface Linked {
  readonly files: readonly ParsedFile[];
  readonly refused: readonly { readonly file: string; readonly errors: readonly string[] }[];
}

/** @param files parsed without errors, in the order in which they count */
export function linkFiles(files: readonly ParsedFile[]): Linked {
  const errors = new Map<ParsedFile, string[]>();
  const refuse = (file: ParsedFile, line: string): void => {
    errors.set(file, [...(errors.get(file) ?? []), line]);
  };
  let kept = files;
  for (let before = -1; before !== kept.length; ) {
    before = kept.length;
    const byName = namesOf(kept);
    for (const file of kept) checkReferences(file, byName, refuse);
    // A name whose first bearer is refused is the next one's: only what is left can be there twice.
    if (!kept.some((file) => errors.has(file))) checkNames(kept, byName, refuse);
    if (!kept.some((file) => errors.has(file))) checkSearches(kept, refuse);
    kept = kept.filter((file) => !errors.has(file));
  }
  return { files: kept, refused: [...errors].map(([{ file }, lines]) => ({ file, errors: lines })) };
}

type Refuse = (file: ParsedFile, line: string) => void;
type ByName = ReadonlyMap<string, PlacedRule>;

/** Of several with one name the first. */
function namesOf(files: readonly ParsedFile[]): ByName {
  const byName = new Map<string, PlacedRule>();
  for (const { rules } of files)
    for (const placed of rules) if (!byName.has(placed.rule.name)) byName.set(placed.rule.name, placed);
  return byName;
}

function checkNames(files: readonly ParsedFile[], byName: ByName, refuse: Refuse): void {
  let rules = 0;
  for (const file of files) {
    for (const placed of file.rules) {
      const { name } = placed.rule;
      const first = byName.get(name);
      if (first !== undefined && first !== placed) {
        const { file: its, line } = first.place;
        refuse(
          file,
          file.errorAt([...placed.path, 'name'], `there is a rule ${name} already, at ${its}:${line}`),
        );
      } else if (++rules > MAX_RULES) {
        refuse(file, file.errorAt(placed.path, `there are over ${MAX_RULES} rules`));
        return;
      }
    }
  }
}

function checkSearches(files: readonly ParsedFile[], refuse: Refuse): void {
  const budget = new SearchBudget();
  for (const file of files) {
    const excess = budget.add(file.rules);
    if (excess === undefined) continue;
    const words = `an event of type ${excess.type} would have to be searched with over ${excess.most} patterns that have a star before their end`;
    refuse(
      file,
      file.errorAt(excess.path, `${words}; begin them with text, or ask for an exact value beside them`),
    );
  }
}

function checkReferences(file: ParsedFile, byName: ByName, refuse: Refuse): void {
  for (const { rule, path } of file.rules) {
    for (const { name, at } of referencesOf(rule.when, [...path, 'when'])) {
      const its = byName.get(name)?.rule;
      if (its === undefined) refuse(file, file.errorAt(at, `no rule ${name}, in no file that was taken`));
      else if (!listOf(its.scene).some((scene) => listOf(rule.scene).includes(scene)))
        refuse(
          file,
          file.errorAt(
            at,
            `${name} is about ${listOf(its.scene).join(', ')}: it never holds for ${listOf(rule.scene).join(', ')}`,
          ),
        );
      else {
        const circle = circleFrom(rule.name, name, byName);
        if (circle !== undefined) refuse(file, file.errorAt(at, `goes in a circle: ${circle.join(' → ')}`));
      }
    }
  }
}

/** The way from `name` back to `start`, shortest first. */
function circleFrom(start: string, name: string, byName: ByName): readonly string[] | undefined {
  const ways: (readonly string[])[] = [[start, name]];
  const seen = new Set<string>();
  for (let way = ways.shift(); way !== undefined; way = ways.shift()) {
    const last = way.at(-1) ?? '';
    if (last === start) return way;
    if (seen.has(last)) continue;
    seen.add(last);
    for (const next of referencesOf(byName.get(last)?.rule.when, [])) ways.push([...way, next.name]);
  }
  return undefined;
}

function referencesOf(
  condition: Condition | undefined,
  path: Path,
): readonly { readonly name: string; readonly at: Path }[] {
  if (condition === undefined) return [];
  if ('all' in condition) return condition.all.flatMap((one, at) => referencesOf(one, [...path, 'all', at]));
  if ('any' in condition) return condition.any.flatMap((one, at) => referencesOf(one, [...path, 'any', at]));
  if ('not' in condition) return referencesOf(condition.not, [...path, 'not']);
  return 'rule' in condition ? [{ name: condition.rule, at: [...path, 'rule'] }] : [];
}
