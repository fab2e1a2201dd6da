/** Small type guards that compose: `shape<T>` does not compile when a field of T is not named in it. */

export type Guard<T> = (value: unknown) => value is T;

/** What a guard looks for inside a value, for whoever checks a name before there is a value. */
export type Inside =
  | { readonly fields: ReadonlyMap<string, Guard<unknown>> }
  | { readonly items: Guard<unknown> };

const INSIDE = new WeakMap<Guard<unknown>, Inside>();

/** Undefined: a plain value. */
export function insideOf(check: Guard<unknown>): Inside | undefined {
  return INSIDE.get(check);
}

export interface Optional<T> {
  readonly optional: Guard<T>;
}

/** One guard for each field of T. */
export type Fields<T> = {
  readonly [K in keyof T]-?: Record<never, never> extends Pick<T, K>
    ? Optional<Exclude<T[K], undefined>>
    : Guard<T[K]>;
};

/** The field may be absent; when it is there it must pass. */
export function optional<T>(check: Guard<T>): Optional<T> {
  return { optional: check };
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** An object with these fields. Others may be there too: a later version may say more. */
export function shape<T>(fields: Fields<T>): Guard<T> {
  const required: [string, Guard<unknown>][] = [];
  const perhaps: [string, Guard<unknown>][] = [];
  for (const [name, field] of Object.entries<Guard<unknown> | Optional<unknown>>(fields)) {
    if (typeof field === 'function') required.push([name, field]);
    else perhaps.push([name, field.optional]);
  }
  const guard: Guard<T> = (value): value is T => {
    if (!isRecord(value)) return false;
    for (const [name, check] of required) if (!check(value[name])) return false;
    for (const [name, check] of perhaps) {
      const field = value[name];
      if (field !== undefined && !check(field)) return false;
    }
    return true;
  };
  INSIDE.set(guard, { fields: new Map([...required, ...perhaps]) });
  return guard;
}

export function list<T>(check: Guard<T>): Guard<readonly T[]> {
  const guard: Guard<readonly T[]> = (value): value is readonly T[] =>
    Array.isArray(value) && value.every(check);
  INSIDE.set(guard, { items: check });
  return guard;
}

export function oneOf<const T extends string | number | true>(...values: readonly T[]): Guard<T> {
  const known: ReadonlySet<unknown> = new Set(values);
  return (value): value is T => known.has(value);
}

export const text: Guard<string> = (value): value is string => typeof value === 'string';

/** Finite: JSON has no NaN, but `1e999` parses to Infinity. */
export const number: Guard<number> = (value): value is number => Number.isFinite(value);

export const count: Guard<number> = (value): value is number =>
  typeof value === 'number' && value >= 0 && value < 2 ** 64;

/** PID_MAX_LIMIT of the kernel is 2^22. 0 where nobody is known. */
export const pid: Guard<number> = (value): value is number =>
  Number.isInteger(value) && typeof value === 'number' && value >= 0 && value <= 2 ** 22;

export const port: Guard<number> = (value): value is number =>
  Number.isInteger(value) && typeof value === 'number' && value >= 0 && value <= 65535;

export const flag: Guard<boolean> = (value): value is boolean => typeof value === 'boolean';
