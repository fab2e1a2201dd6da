/** Conditions on events: read from the series of what they are about, newest fact as evidence. */
import { compileRange, listOf, rangeText, type Test } from './field-test.js';
import type { ChainNode, Subject } from './chain.js';
import { type Evaluate, type Held, held, type HeldPart, type Look } from './held.js';
import type { EventSelector, EventTest } from './model.js';
import { DEFAULT_APART, DEFAULT_WINDOW, gaugeKey, type Selector, TOLD_TIMES } from './selector.js';
import type { Series } from './series.js';
import { durationMs } from './units.js';

/** A number of one series, and what it must be; undefined: there is no such number. */
interface Measure {
  readonly read: (series: Series, from: number, now: number) => number | undefined;
  readonly test: Test<number>;
  readonly words: (value: number) => string;
  /** What it is when there was no event at all; absent: then it does not hold. */
  readonly ofNothing?: number;
}

/** Where to look, and since when what is found there counts. */
interface Spot {
  readonly series: Series | undefined;
  readonly about: string;
  readonly sinceTs: number;
}

export function compileEvent(test: EventTest, selector: Selector): Evaluate {
  selector.want(test);
  const windowText = test.within ?? DEFAULT_WINDOW;
  const windowMs = durationMs(windowText);
  const types = listOf(test.type).join(' or ');
  const measures = measuresOf(test, windowMs);
  // What no event at all fulfils (`count: {max: 2}`) would hold of any node that nothing was said of: it must of all.
  const ofNothing = measured(measures, undefined, 0, 0) !== undefined;
  const lookAt = (spot: Spot, look: Look): Held | undefined => {
    const from = Math.max(look.now - windowMs, spot.sinceTs);
    const fact = spot.series !== undefined && spot.series.ts > from ? spot.series.fact : undefined;
    const one = measured(measures, fact === undefined ? undefined : spot.series, from, look.now);
    if (one === undefined) return undefined;
    const entity = fact?.entity ?? spot.about;
    const part: HeldPart = {
      text: `${one.text} ${types} about ${test.about === 'node' ? entity : spot.about} within ${windowText}`,
      value: one.value,
      ids: [],
      facts: fact === undefined ? [] : [fact],
    };
    const count = fact === undefined ? 0 : (spot.series?.times.since(from) ?? 0);
    const told = count < TOLD_TIMES ? `${count}` : `${count} or more`;
    return held(part, test.as, { kind: 'event', entity, count: told, value: fact?.value ?? 0 });
  };
  return (subject, look) => {
    let first: Held | undefined;
    for (const spot of spotsOf(test, selector, subject, look, ofNothing)) {
      const one = lookAt(spot, look);
      if (one !== undefined && !ofNothing) return one;
      if (one === undefined && ofNothing) return undefined;
      first ??= one;
    }
    return first;
  };
}

/** The last such event of each node that it is about, where there was one: evidence that is no condition. */
export function compileRelated(
  given: EventSelector,
  selector: Selector,
): (subject: Subject, look: Look) => Held {
  selector.want(given);
  const windowMs = durationMs(given.within ?? DEFAULT_WINDOW);
  return (subject, look) => {
    const facts = spotsOf(given, selector, subject, look, false).flatMap(({ series, sinceTs }) =>
      series !== undefined && series.ts > Math.max(look.now - windowMs, sinceTs) ? series.fact : [],
    );
    return { parts: [{ text: '', value: null, ids: [], facts }], bindings: [] };
  };
}

const NO_SPOTS: readonly Spot[] = [];

/**
 * From the cause backwards: it is asked first.
 * @param all also where there was no such event; else most conditions have nowhere to look, and cost nothing
 */
function spotsOf(
  test: EventSelector,
  selector: Selector,
  subject: Subject,
  { memory }: Look,
  all: boolean,
): readonly Spot[] {
  if (test.about === 'node') {
    const series = memory.wide(selector.key);
    return series === undefined && !all
      ? NO_SPOTS
      : [{ series, about: 'node', sinceTs: Number.NEGATIVE_INFINITY }];
  }
  let spots = NO_SPOTS;
  const nodes = nodesOf(test, subject);
  for (let at = nodes.length - 1; at >= 0; at--) {
    const node = nodes[at];
    if (node === undefined) continue;
    const { id, aliases, sinceTs } = node;
    for (let alias = -1; alias < aliases.length; alias++) {
      const series = memory.series(selector.key, aliases[alias] ?? id);
      if (series !== undefined || all) spots = [...spots, { series, about: id, sinceTs }];
    }
  }
  return spots;
}

function nodesOf(test: EventSelector, { nodes, target, cause }: Subject): readonly ChainNode[] {
  switch (test.about) {
    case 'target':
      return [target];
    case 'cause':
      return cause === undefined ? [] : [cause];
    default:
      return nodes;
  }
}

interface Measured {
  readonly text: string;
  readonly value: number;
}

/** @param series undefined: no such event in the window */
function measured(
  measures: readonly Measure[],
  series: Series | undefined,
  from: number,
  now: number,
): Measured | undefined {
  let said: Measured | undefined;
  for (const measure of measures) {
    const value = series === undefined ? measure.ofNothing : measure.read(series, from, now);
    if (value === undefined || !measure.test(value)) return undefined;
    said ??= { text: measure.words(value), value };
  }
  return said;
}

function measuresOf(test: EventTest, windowMs: number): readonly Measure[] {
  const { count, ratePerSecond, value, recurs } = test;
  const measures: Measure[] = [];
  const counted = (series: Series, from: number): number => series.times.since(from);
  if (recurs !== undefined) {
    const apartMs = durationMs(recurs.apart ?? DEFAULT_APART);
    measures.push({
      read: (series, from) => series.bursts.find(({ need }) => need.apartMs === apartMs)?.since(from),
      test: (times) => times >= recurs.times,
      words: (times) => `${times} times (at least ${recurs.times}, ${recurs.apart ?? DEFAULT_APART} apart)`,
    });
  }
  if (value !== undefined) {
    const need = { of: value.of?.split('.'), windowMs };
    const key = gaugeKey(need);
    const how = value.how ?? 'last';
    measures.push({
      read: (series, _from, now) =>
        series.gauges.find((gauge) => gaugeKey(gauge.need) === key)?.read(how, now),
      test: compileRange(value),
      words: (number) => `${how} ${value.of ?? 'value'} ${rounded(number)} (${rangeText(value)}) of`,
    });
  }
  if (ratePerSecond !== undefined) {
    const key = gaugeKey({ of: undefined, windowMs });
    measures.push({
      read: (series, _from, now) =>
        ((series.gauges.find((gauge) => gaugeKey(gauge.need) === key)?.count(now) ?? 0) * 1_000) / windowMs,
      test: compileRange(ratePerSecond),
      words: (rate) => `${rounded(rate)} a second (${rangeText(ratePerSecond)}) of`,
      ofNothing: 0,
    });
  }
  if (count !== undefined) {
    measures.push({
      read: counted,
      test: compileRange(count),
      words: (n) => `${n} (${rangeText(count)}) of`,
      ofNothing: 0,
    });
  }
  if (measures.length === 0) {
    measures.push({ read: counted, test: (n) => n > 0, words: () => 'there was' });
  }
  return measures;
}

function rounded(value: number): number {
  return Math.round(value * 1_000) / 1_000;
}
