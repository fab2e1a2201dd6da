/**
 * The JSON Schema of rule files, as published in rules/schema.json. It is not a second description beside the checks:
 * schema-check.ts interprets this very object, and a test compares the file with it. Kept to the few words that
 * the interpreter knows; the branches of an `anyOf` are told apart by their `type`.
 */
import { SCENES } from '../scene/answer.js';
import { MAX_PATTERN_LENGTH } from './glob.js';
import { RISKS, STATISTICS } from './model.js';
import { DURATION, KERNEL_RANGE } from './units.js';

export type JsonType = 'object' | 'array' | 'string' | 'number' | 'integer' | 'boolean';

export interface Schema {
  readonly $schema?: string;
  readonly $id?: string;
  readonly title?: string;
  readonly description?: string;
  readonly $defs?: Readonly<Record<string, Schema>>;
  readonly $ref?: string;
  readonly type?: JsonType | readonly JsonType[];
  readonly anyOf?: readonly Schema[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | Schema;
  readonly propertyNames?: Schema;
  readonly minProperties?: number;
  readonly maxProperties?: number;
  readonly items?: Schema;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly enum?: readonly string[];
  readonly const?: string;
  readonly pattern?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
}

const ref = (name: string): Schema => ({ $ref: `#/$defs/${name}` });
const oneOrMore = (one: Schema): Schema => ({
  anyOf: [one, { type: 'array', items: one, minItems: 1, maxItems: 64 }],
});
const record = (properties: Readonly<Record<string, Schema>>, more: Schema = {}): Schema => ({
  type: 'object',
  additionalProperties: false,
  properties,
  ...more,
});
const line = (maxLength: number): Schema => ({ type: 'string', minLength: 1, maxLength });

const NAME = '^[a-z][a-z0-9]*(-[a-z0-9]+)*$';
const name: Schema = { type: 'string', pattern: NAME, maxLength: 64 };
/** For texts; a scope of its own kind would be hidden by one that begins with a capital, so there is none. */
const as: Schema = { type: 'string', pattern: '^[a-z][A-Za-z0-9]*$', maxLength: 32 };
const glob: Schema = { type: 'string', minLength: 1, maxLength: MAX_PATTERN_LENGTH };
const duration: Schema = {
  type: 'string',
  pattern: DURATION,
  description: '500ms, 30s, 10m, 24h, 7d',
};
const count: Schema = { type: 'integer', minimum: 0, maximum: 1000 };

const SELECTOR = {
  type: oneOrMore({ type: 'string', pattern: '^(custom:)?[a-z]+[.][a-z0-9_.]+$', maxLength: 96 }),
  about: { type: 'string', enum: ['chain', 'target', 'cause', 'node'] },
  entity: oneOrMore(glob),
  where: ref('fields'),
  within: duration,
} as const satisfies Readonly<Record<string, Schema>>;

export const RULE_SCHEMA: Schema = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  $id: 'xctl-rules-v1',
  title: 'Rules of xctl',
  description: 'What each part means: docs/rules.md',
  type: 'object',
  additionalProperties: false,
  required: ['apiVersion', 'rules'],
  properties: {
    apiVersion: { type: 'string', const: 'xctl/v1' },
    rules: { type: 'array', items: ref('rule'), minItems: 1, maxItems: 1000 },
  },
  $defs: {
    rule: record(
      {
        name,
        title: line(120),
        scene: oneOrMore({ type: 'string', enum: SCENES }),
        subScene: oneOrMore({ type: 'string', pattern: '^[A-Z][A-Za-z]*$', maxLength: 32 }),
        priority: { type: 'integer', minimum: 0, maximum: 100 },
        when: ref('condition'),
        rootCause: line(500),
        steps: { type: 'array', items: ref('step'), minItems: 1, maxItems: 20 },
        evidence: {
          type: 'array',
          items: record(SELECTOR, { required: ['type'] }),
          minItems: 1,
          maxItems: 16,
        },
        applies: ref('applies'),
        references: { type: 'array', items: line(300), minItems: 1, maxItems: 10 },
      },
      { required: ['name', 'title', 'scene', 'priority', 'rootCause', 'steps'] },
    ),
    step: record(
      {
        text: line(500),
        run: { type: 'array', items: line(200), minItems: 1, maxItems: 32 },
        risk: { type: 'string', enum: RISKS },
      },
      { required: ['text'] },
    ),
    applies: record(
      {
        kernel: { type: 'string', pattern: KERNEL_RANGE, description: '>=5.15 <6.9' },
        gpu: { type: 'boolean' },
        rdma: { type: 'boolean' },
        probes: { type: 'array', items: line(32), minItems: 1, maxItems: 16 },
      },
      { minProperties: 1 },
    ),
    condition: record(
      {
        all: { type: 'array', items: ref('condition'), minItems: 1, maxItems: 32 },
        any: { type: 'array', items: ref('condition'), minItems: 1, maxItems: 32 },
        not: ref('condition'),
        rule: name,
        finding: ref('finding'),
        node: ref('node'),
        edge: ref('edge'),
        event: ref('event'),
      },
      { minProperties: 1, maxProperties: 1 },
    ),
    finding: record(
      {
        verdict: oneOrMore({ type: 'string', enum: ['cause-found', 'symptom-only'] }),
        subScene: oneOrMore({ type: 'string', pattern: '^[A-Z][A-Za-z]*$', maxLength: 32 }),
        confidence: ref('range'),
        causeType: oneOrMore({ type: 'string', maxLength: 32 }),
        cause: oneOrMore(glob),
        ailment: oneOrMore(glob),
        own: { type: 'boolean' },
        comm: oneOrMore(glob),
        state: { type: 'string', enum: ['running', 'exited'] },
        links: ref('range'),
      },
      { minProperties: 1 },
    ),
    node: record(
      {
        on: { type: 'string', enum: ['chain', 'target', 'cause'] },
        type: oneOrMore({ type: 'string', maxLength: 32 }),
        id: oneOrMore(glob),
        attrs: ref('fields'),
        as,
      },
      { minProperties: 1 },
    ),
    edge: record(
      {
        kind: { type: 'string', enum: ['Consumes', 'WaitsOn', 'BlockedBy'] },
        from: ref('node'),
        to: ref('node'),
        sinceMs: ref('range'),
        note: oneOrMore(glob),
      },
      { minProperties: 1 },
    ),
    event: record(
      {
        ...SELECTOR,
        count: record({ min: count, max: count, above: count, below: count }, { minProperties: 1 }),
        ratePerSecond: ref('range'),
        value: record(
          {
            of: ref('path'),
            how: { type: 'string', enum: STATISTICS },
            min: { type: 'number' },
            max: { type: 'number' },
            above: { type: 'number' },
            below: { type: 'number' },
          },
          { minProperties: 1 },
        ),
        recurs: record(
          { times: { type: 'integer', minimum: 2, maximum: 100 }, apart: duration },
          { required: ['times'] },
        ),
        as,
      },
      { required: ['type'] },
    ),
    range: record(
      {
        min: { type: 'number' },
        max: { type: 'number' },
        above: { type: 'number' },
        below: { type: 'number' },
      },
      { minProperties: 1 },
    ),
    path: {
      type: 'string',
      pattern: '^[A-Za-z][A-Za-z0-9_]*([.][A-Za-z][A-Za-z0-9_]*){0,3}$',
      maxLength: 128,
    },
    fields: {
      type: 'object',
      propertyNames: ref('path'),
      minProperties: 1,
      maxProperties: 16,
      additionalProperties: ref('test'),
    },
    scalar: { type: ['string', 'number', 'boolean'], maxLength: MAX_PATTERN_LENGTH },
    test: {
      anyOf: [
        { type: ['string', 'number', 'boolean'], maxLength: MAX_PATTERN_LENGTH },
        { type: 'array', items: ref('scalar'), minItems: 1, maxItems: 64 },
        record(
          {
            min: { type: 'number' },
            max: { type: 'number' },
            above: { type: 'number' },
            below: { type: 'number' },
            not: {
              anyOf: [
                { type: ['string', 'number', 'boolean'], maxLength: MAX_PATTERN_LENGTH },
                { type: 'array', items: ref('scalar'), minItems: 1, maxItems: 64 },
              ],
            },
            has: { type: 'boolean' },
          },
          { minProperties: 1 },
        ),
      ],
    },
  },
};
