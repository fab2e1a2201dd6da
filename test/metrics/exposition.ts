/**
 * A strict reader of the Prometheus text format 0.0.4, with the checks that promtool makes: what it
 * does not complain about, Prometheus takes.
 */

export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Family {
  readonly name: string;
  readonly kind: string;
  readonly help: string;
  readonly samples: readonly Sample[];
}

const NAME = /^[a-zA-Z_][a-zA-Z0-9_]*$/;
const SAMPLE = /^([a-zA-Z_][a-zA-Z0-9_]*)(?:\{(.*)\})? (\S+)$/;
const LABEL = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)/;
const KINDS = ['counter', 'gauge', 'histogram', 'summary', 'untyped'];
const NON_BASE_UNITS =
  /_(?:ms|milliseconds|us|microseconds|ns|nanoseconds|minutes|hours|days|kb|kib|mb|kilobytes|megabytes|percent|celsius_degrees)(?:_|$)/;

/** @throws Error with the line for whatever does not parse */
export function parseExposition(text: string): readonly Family[] {
  if (!text.endsWith('\n')) throw new Error('the last line has no end');
  const families = new Map<string, { name: string; kind: string; help: string; samples: Sample[] }>();
  let current = '';
  for (const line of text.split('\n').slice(0, -1)) {
    if (line === '') continue;
    const meta = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line);
    if (meta !== null) {
      const [, what, name = '', rest = ''] = meta;
      const family = families.get(name) ?? { name, kind: '', help: '', samples: [] };
      if (family.samples.length > 0) throw new Error(`${line}: after its samples`);
      if (what === 'HELP') family.help = rest;
      else if (KINDS.includes(rest) && family.kind === '') family.kind = rest;
      else throw new Error(`${line}: bad or second type`);
      families.set(name, family);
      current = name;
      continue;
    }
    const sample = parseSample(line);
    const family = families.get(current);
    if (family === undefined || !belongs(sample.name, family.name, family.kind))
      throw new Error(`${line}: not under its TYPE`);
    family.samples.push(sample);
  }
  return [...families.values()];
}

function parseSample(line: string): Sample {
  const [, name = '', labelText = '', valueText = ''] = SAMPLE.exec(line) ?? [];
  if (name === '') throw new Error(`${line}: no sample`);
  const labels: Record<string, string> = {};
  for (let rest = labelText; rest !== ''; ) {
    const [all = '', label = '', value = ''] = LABEL.exec(rest) ?? [];
    if (all === '') throw new Error(`${line}: bad label`);
    if (Object.hasOwn(labels, label)) throw new Error(`${line}: label ${label} twice`);
    labels[label] = value;
    rest = rest.slice(all.length);
  }
  const value = valueText === '+Inf' ? Number.POSITIVE_INFINITY : Number(valueText);
  if (Number.isNaN(value) && valueText !== 'Nan') throw new Error(`${line}: bad value`);
  return { name, labels, value };
}

function belongs(sample: string, family: string, kind: string): boolean {
  if (kind === 'histogram') return [`${family}_bucket`, `${family}_sum`, `${family}_count`].includes(sample);
  if (kind === 'summary') return [family, `${family}_sum`, `${family}_count`].includes(sample);
  return sample === family;
}

/** What promtool's linter says of the families, and what makes a series ambiguous. */
export function lint(families: readonly Family[]): readonly string[] {
  const problems: string[] = [];
  for (const { name, kind, help, samples } of families) {
    const say = (what: string): void => void problems.push(`${name}: ${what}`);
    if (!NAME.test(name)) say('bad name');
    if (help === '') say('no help');
    if (kind === '') say('no type');
    if (kind === 'counter' && !name.endsWith('_total')) say('a counter ends in _total');
    if (kind !== 'counter' && name.endsWith('_total')) say('only a counter ends in _total');
    if (/_(?:count|sum|bucket)$/.test(name)) say('reserved suffix');
    if (NON_BASE_UNITS.test(name)) say('not a base unit');
    const seen = new Set<string>();
    for (const sample of samples) {
      const key = `${sample.name}${JSON.stringify(Object.entries(sample.labels).sort())}`;
      if (seen.has(key)) say(`${key} twice`);
      seen.add(key);
      if (kind === 'counter' && !(sample.value >= 0)) say(`${sample.value} in a counter`);
      for (const label of Object.keys(sample.labels))
        if (label.startsWith('__')) say(`reserved label ${label}`);
    }
    if (kind === 'histogram') checkBuckets(samples, say);
  }
  return problems;
}

function checkBuckets(samples: readonly Sample[], say: (what: string) => void): void {
  const buckets = samples.filter((sample) => sample.name.endsWith('_bucket'));
  const count = samples.find((sample) => sample.name.endsWith('_count'));
  for (const [i, bucket] of buckets.entries())
    if (bucket.value < (buckets[i - 1]?.value ?? 0)) say('buckets are not cumulative');
  if (buckets.at(-1)?.labels.le !== '+Inf' || buckets.at(-1)?.value !== count?.value)
    say('the last bucket is not the count');
}

/** The value of one sample; undefined when there is none. */
export function sampleValue(
  families: readonly Family[],
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number | undefined {
  for (const family of families) {
    for (const sample of family.samples) {
      if (
        sample.name === name &&
        Object.entries(labels).every(([label, value]) => sample.labels[label] === value)
      )
        return sample.value;
    }
  }
  return undefined;
}
