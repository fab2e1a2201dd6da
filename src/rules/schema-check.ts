/** Checks a value against a Schema (schema.ts) and says in a few words, for each thing that is wrong, what would be right. */
import { printable } from '../util/text.js';
import type { Schema } from './schema.js';

export type Path = readonly (string | number)[];

export interface Flaw {
  readonly path: Path;
  readonly message: string;
}

/** One mistake tends to bring others along; nobody reads more. */
const MAX_FLAWS = 20;

export function checkSchema(root: Schema, value: unknown): readonly Flaw[] {
  const check = new Check(root);
  check.value(root, value, []);
  return check.flaws;
}

class Check {
  readonly flaws: Flaw[] = [];
  readonly #root: Schema;

  constructor(root: Schema) {
    this.#root = root;
  }

  value(given: Schema, value: unknown, path: Path): void {
    if (this.flaws.length >= MAX_FLAWS) return;
    const schema = this.#branch(this.#resolve(given), value);
    if (schema === undefined || !fitsType(schema, value)) {
      this.#flaw(path, `must be ${wanted(this.#resolve(given))}, not ${kindOf(value)}`);
    } else if (typeof value === 'string') this.#text(schema, value, path);
    else if (typeof value === 'number') this.#number(schema, value, path);
    else if (Array.isArray(value)) this.#list(schema, value, path);
    else if (typeof value === 'object' && value !== null) this.#record(schema, value, path);
  }

  #resolve(schema: Schema): Schema {
    if (schema.$ref === undefined) return schema;
    return this.#root.$defs?.[schema.$ref.slice('#/$defs/'.length)] ?? {};
  }

  /** The one branch of an `anyOf` that takes values of this type. */
  #branch(schema: Schema, value: unknown): Schema | undefined {
    if (schema.anyOf === undefined) return schema;
    return schema.anyOf.map((branch) => this.#resolve(branch)).find((branch) => fitsType(branch, value));
  }

  #text(schema: Schema, text: string, path: Path): void {
    const length = [...text].length;
    if (schema.const !== undefined && text !== schema.const)
      this.#flaw(path, `must be ${schema.const}, not ${shown(text)}`);
    else if (schema.enum !== undefined && !schema.enum.includes(text))
      this.#flaw(path, `must be ${oneOf(schema.enum)}, not ${shown(text)}`);
    else if (length < (schema.minLength ?? 0)) this.#flaw(path, 'must not be empty');
    else if (length > (schema.maxLength ?? length))
      this.#flaw(path, `is ${length} characters long, over ${schema.maxLength}`);
    else if (schema.pattern !== undefined && !new RegExp(schema.pattern, 'u').test(text))
      this.#flaw(
        path,
        schema.description === undefined
          ? `${shown(text)} is not of the form ${schema.pattern}`
          : `${shown(text)} is not of the form ${schema.description}`,
      );
  }

  #number(schema: Schema, value: number, path: Path): void {
    if (value < (schema.minimum ?? value))
      this.#flaw(path, `must be at least ${schema.minimum}, not ${value}`);
    if (value > (schema.maximum ?? value))
      this.#flaw(path, `must be at most ${schema.maximum}, not ${value}`);
  }

  #list(schema: Schema, list: readonly unknown[], path: Path): void {
    if (list.length < (schema.minItems ?? 0)) this.#flaw(path, 'must not be empty');
    if (list.length > (schema.maxItems ?? list.length))
      this.#flaw(path, `has ${list.length} members, over ${schema.maxItems}`);
    const { items } = schema;
    if (items !== undefined) for (const [at, item] of list.entries()) this.value(items, item, [...path, at]);
  }

  #record(schema: Schema, record: object, path: Path): void {
    const { properties = {}, required = [], additionalProperties } = schema;
    const keys = Object.keys(record);
    for (const name of required) if (!Object.hasOwn(record, name)) this.#flaw(path, `has no ${name}`);
    if (keys.length < (schema.minProperties ?? 0))
      this.#flaw(
        path,
        `must have ${schema.maxProperties === 1 ? 'one of' : 'some of'} ${Object.keys(properties).join(', ') || 'something'}`,
      );
    if (keys.length > (schema.maxProperties ?? keys.length))
      this.#flaw(
        path,
        schema.maxProperties === 1
          ? `must have one key, not ${keys.length} (${keys.map((key) => shown(key)).join(', ')}); put several under all or any`
          : `has ${keys.length} keys, over ${schema.maxProperties}`,
      );
    for (const [key, item] of Object.entries(record)) {
      const its = Object.hasOwn(properties, key) ? properties[key] : undefined;
      if (schema.propertyNames !== undefined) this.value(schema.propertyNames, key, [...path, key]);
      if (its !== undefined) this.value(its, item, [...path, key]);
      else if (additionalProperties === false)
        this.#flaw([...path, key], `no key ${shown(key)}; there are ${Object.keys(properties).join(', ')}`);
      else if (typeof additionalProperties === 'object')
        this.value(additionalProperties, item, [...path, key]);
    }
  }

  #flaw(path: Path, message: string): void {
    if (this.flaws.length < MAX_FLAWS) this.flaws.push({ path, message });
  }
}

function fitsType(schema: Schema, value: unknown): boolean {
  if (schema.type === undefined) return true;
  const types = typeof schema.type === 'string' ? [schema.type] : schema.type;
  return types.some((type) => {
    switch (type) {
      case 'object':
        return isPlain(value);
      case 'array':
        return Array.isArray(value);
      case 'integer':
        return Number.isInteger(value);
      case 'number':
        return Number.isFinite(value);
      case 'string':
      case 'boolean':
        return typeof value === type;
    }
    return false;
  });
}

/** TOML has dates, which are objects of a class. */
function isPlain(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

const WORDS: Readonly<Record<string, string>> = {
  object: 'a mapping',
  array: 'a list',
  string: 'text',
  number: 'a number',
  integer: 'a whole number',
  boolean: 'true or false',
};

function wanted(schema: Schema): string {
  const types = (schema.anyOf ?? [schema]).flatMap(({ type = [] }) => type);
  return oneOf(types.map((type) => WORDS[type] ?? type));
}

function kindOf(value: unknown): string {
  if (value === null || value === undefined) return 'empty';
  if (typeof value === 'number') return Number.isFinite(value) ? `the number ${value}` : `${value}`;
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return isPlain(value) ? 'a mapping' : 'a date';
  return typeof value === 'string' ? `the text ${shown(value)}` : `${String(value)}`;
}

function oneOf(words: readonly string[]): string {
  const [last = '', ...others] = [...words].reverse();
  return others.length === 0 ? last : `${others.reverse().join(', ')} or ${last}`;
}

function shown(text: string): string {
  return printable(JSON.stringify(text), 60);
}
