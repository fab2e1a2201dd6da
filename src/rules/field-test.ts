/** Tests of values: of an event's attributes, of a node's, of a number against bounds. Compiled once, run per event. */
import { isRecord } from '../events/guards.js';
import type { FieldTest, FieldTests, OneOrMore, Range, Scalar } from './model.js';
import { compileGlob } from './glob.js';

/** Members of a list that are looked at. */
const MAX_MEMBERS = 64;

export type Test<T = unknown> = (value: T) => boolean;

export function listOf<T extends Scalar>(given: OneOrMore<T>): readonly T[] {
  return typeof given === 'object' ? given : [given];
}

export function compileRange({ min, max, above, below }: Range): Test<number> {
  return (value) =>
    (min === undefined || value >= min) &&
    (max === undefined || value <= max) &&
    (above === undefined || value > above) &&
    (below === undefined || value < below);
}

/** `at least 3`, `over 5 and at most 10`. */
export function rangeText({ min, max, above, below }: Range): string {
  return [
    ...(min === undefined ? [] : [`at least ${min}`]),
    ...(above === undefined ? [] : [`over ${above}`]),
    ...(max === undefined ? [] : [`at most ${max}`]),
    ...(below === undefined ? [] : [`below ${below}`]),
  ].join(' and ');
}

/** Any of these patterns. */
export function compileText(patterns: OneOrMore<string>): Test<string> {
  const globs = listOf(patterns).map(compileGlob);
  const [only] = globs;
  if (globs.length === 1 && only !== undefined) return only.matches;
  return (text) => globs.some((glob) => glob.matches(text));
}

function compileScalar(wanted: Scalar): Test {
  if (typeof wanted !== 'string') return (value) => value === wanted;
  const glob = compileGlob(wanted);
  return (value) => typeof value === 'string' && glob.matches(value);
}

/** Bounds, `not` or `has`, and no plain value. */
export function isBounds(test: FieldTest): test is Extract<FieldTest, Range> {
  return typeof test === 'object' && !Array.isArray(test);
}

/** Of a value, or of a list of which any member will do. Absent values are undefined or null. */
export function compileField(test: FieldTest): Test {
  if (!isBounds(test)) {
    const tests = (typeof test === 'object' ? test : [test]).map(compileScalar);
    return (value) => some(value, (one) => tests.some((is) => is(one)));
  }
  const { not, has } = test;
  const bounded = [test.min, test.max, test.above, test.below].some((bound) => bound !== undefined);
  const within = compileRange(test);
  const none = not === undefined ? [] : listOf(not).map(compileScalar);
  return (value) => {
    const there = some(value, () => true);
    if (has !== undefined && has !== there) return false;
    if (not !== undefined && (!there || some(value, (one) => none.some((is) => is(one))))) return false;
    return !bounded || some(value, (one) => typeof one === 'number' && within(one));
  };
}

/** Whether the value, or a member of the list that it is, is there and passes. */
function some(value: unknown, test: Test): boolean {
  if (value === undefined || value === null) return false;
  if (!Array.isArray(value)) return test(value);
  const members: readonly unknown[] = value;
  for (let at = 0; at < members.length && at < MAX_MEMBERS; at++) {
    const member = members[at];
    if (member !== undefined && member !== null && test(member)) return true;
  }
  return false;
}

/** Each path with its test. */
export function compileFields(
  tests: FieldTests,
): readonly { readonly path: readonly string[]; readonly test: Test }[] {
  return Object.entries(tests).map(([path, test]) => ({ path: path.split('.'), test: compileField(test) }));
}

/** What lies at a path; through a list, what lies there in its members. */
export function read(from: unknown, path: readonly string[], step = 0): unknown {
  let at = from;
  for (let next = step; next < path.length; next++) {
    const name = path[next];
    if (Array.isArray(at)) {
      const members: readonly unknown[] = at.slice(0, MAX_MEMBERS);
      return members.flatMap((member) => read(member, path, next));
    }
    // No name is one that every object has (isOwnName): what is found is the event's own.
    if (name === undefined || !isRecord(at)) return undefined;
    at = at[name];
  }
  return at;
}

/** Not `constructor` and its like, which every object has without anybody having said so. */
export function isOwnName(name: string): boolean {
  return !(name in Object.prototype);
}
