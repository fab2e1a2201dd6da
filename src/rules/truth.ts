/**
 * What a condition comes to before any finding is looked at: some hold always (`count: {min: 0}`, "a process is on the
 * chain"), some never (`min: 5, max: 3`). A rule of either kind is a mistake.
 */
import { fitsAll } from './glob.js';
import { isBounds, listOf } from './field-test.js';
import type {
  Condition,
  EdgeTest,
  EventTest,
  FieldTest,
  FieldTests,
  FindingTest,
  NodeTest,
  OneOrMore,
  Range,
} from './model.js';

export type Truth = 'always' | 'never' | 'depends';

/** @param ofRule what the `when` of another rule comes to: with its scene it can always be false */
export function truthOf(condition: Condition, ofRule: (name: string) => Truth): Truth {
  if ('all' in condition) {
    const truths = condition.all.map((one) => truthOf(one, ofRule));
    if (truths.includes('never') || contradicts(condition.all)) return 'never';
    return truths.every((truth) => truth === 'always') ? 'always' : 'depends';
  }
  if ('any' in condition) {
    const truths = condition.any.map((one) => truthOf(one, ofRule));
    if (truths.includes('always') || contradicts(condition.any)) return 'always';
    return truths.every((truth) => truth === 'never') ? 'never' : 'depends';
  }
  if ('not' in condition) {
    const inner = truthOf(condition.not, ofRule);
    return inner === 'depends' ? inner : inner === 'always' ? 'never' : 'always';
  }
  if ('rule' in condition) return ofRule(condition.rule);
  if ('finding' in condition) return ofFinding(condition.finding);
  if ('node' in condition) return ofNode(condition.node);
  if ('edge' in condition) return ofEdge(condition.edge);
  return ofEvent(condition.event);
}

/** A condition stands there beside its own opposite. */
function contradicts(conditions: readonly Condition[]): boolean {
  const plain = new Set(conditions.map((one) => JSON.stringify(one)));
  return conditions.some((one) => 'not' in one && plain.has(JSON.stringify(one.not)));
}

function both(truths: readonly Truth[]): Truth {
  if (truths.includes('never')) return 'never';
  return truths.every((truth) => truth === 'always') ? 'always' : 'depends';
}

/** @param least and `most`: what the number can be */
function ofRange({ min, max, above, below }: Range, least: number, most: number): Truth {
  const low = Math.max(min ?? Number.NEGATIVE_INFINITY, above ?? Number.NEGATIVE_INFINITY);
  const high = Math.min(max ?? Number.POSITIVE_INFINITY, below ?? Number.POSITIVE_INFINITY);
  const open = low === above || high === below;
  if (low > high || low > most || high < least) return 'never';
  if (low === high && open && (above !== undefined || below !== undefined)) return 'never';
  if ((above !== undefined && above >= most) || (below !== undefined && below <= least)) return 'never';
  const aboveAll = low < least || (low === least && above !== low);
  const belowAll = high > most || (high === most && below !== high);
  return aboveAll && belowAll ? 'always' : 'depends';
}

function ofPatterns(patterns: OneOrMore<string> | undefined): Truth {
  return patterns === undefined || listOf(patterns).some(fitsAll) ? 'always' : 'depends';
}

function ofFinding(test: FindingTest): Truth {
  const verdicts = test.verdict === undefined ? [] : listOf(test.verdict);
  return both([
    test.verdict === undefined || new Set(verdicts).size === 2 ? 'always' : 'depends',
    test.confidence === undefined ? 'always' : ofRange(test.confidence, 0, 1),
    test.links === undefined ? 'always' : ofRange(test.links, 0, Number.POSITIVE_INFINITY),
    ofPatterns(test.comm),
    // Without a cause there is nothing that these could fit.
    ...[test.subScene, test.causeType, test.cause, test.ailment, test.own, test.state].map(
      (part): Truth => (part === undefined ? 'always' : 'depends'),
    ),
  ]);
}

function ofNode({ on, type, id, attrs }: NodeTest): Truth {
  // The target is on every chain, and is a process.
  const isTarget = on !== 'cause' && (type === undefined || listOf(type).includes('process'));
  const any = isTarget && (id === undefined || listOf(id).some((glob) => fitsAll(glob) || glob === 'pid:*'));
  return both([
    any ? 'always' : 'depends',
    ofFields(attrs) === 'never' ? 'never' : attrs === undefined ? 'always' : 'depends',
  ]);
}

function ofEdge({ from, to, sinceMs }: EdgeTest): Truth {
  const parts = [from, to].map((node) => (node === undefined ? 'depends' : ofNode(node)));
  const since = sinceMs === undefined ? 'depends' : ofRange(sinceMs, 0, Number.POSITIVE_INFINITY);
  // A chain may have no links.
  return [...parts, since].includes('never') ? 'never' : 'depends';
}

function ofEvent({ count, ratePerSecond, value, recurs, where }: EventTest): Truth {
  const none = Number.POSITIVE_INFINITY;
  const counted = count === undefined ? 'depends' : ofRange(count, 0, none);
  const rate = ratePerSecond === undefined ? undefined : ofRange(ratePerSecond, 0, none);
  const number = value === undefined ? undefined : ofRange(value, Number.NEGATIVE_INFINITY, none);
  const parts = [counted, rate, number, ofFields(where)];
  if (parts.includes('never')) return 'never';
  const isOnlyCount = rate !== 'depends' && value === undefined && recurs === undefined;
  const isOnlyRate = count === undefined && rate === 'always' && value === undefined && recurs === undefined;
  return (counted === 'always' && isOnlyCount) || isOnlyRate ? 'always' : 'depends';
}

function ofFields(tests: FieldTests | undefined): Truth {
  const never = Object.values(tests ?? {}).some((test) => ofField(test) === 'never');
  return never ? 'never' : 'depends';
}

function ofField(test: FieldTest): Truth {
  if (!isBounds(test)) return 'depends';
  const { has, not, ...bounds } = test;
  const isBounded = Object.keys(bounds).length > 0;
  if (isBounded && ofRange(bounds, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY) === 'never')
    return 'never';
  return has === false && (isBounded || not !== undefined) ? 'never' : 'depends';
}
