/**
 * Texts with placeholders: `{cause.id} is full`. Parsed when a rule is loaded, so that a name that nobody knows is refused
 * there; filled in for each hit. What is filled in may come from anybody (a process's name), so a command takes only
 * values that cannot be mistaken for anything else.
 */
import { printable } from '../util/text.js';

type Part = string | { readonly name: string };
export type Template = readonly Part[];

const PLACEHOLDER = /^[a-z][A-Za-z0-9-]*(?:[.][A-Za-z][A-Za-z0-9]*){0,2}$/;
const UNKNOWN = '(unknown)';
const MAX_VALUE_LENGTH = 200;
const SAFE = /^[A-Za-z0-9._:/@%+=,][A-Za-z0-9._:/@%+=,-]*$/;

export type ParsedTemplate =
  | { readonly ok: true; readonly template: Template }
  | { readonly ok: false; readonly message: string };

export function parseTemplate(text: string): ParsedTemplate {
  const parts: Part[] = [];
  let plain = '';
  for (let at = 0; at < text.length; at++) {
    const c = text[at] ?? '';
    if ((c === '{' || c === '}') && text[at + 1] === c) {
      plain += c;
      at++;
    } else if (c === '{') {
      const end = text.indexOf('}', at);
      const name = end === -1 ? '' : text.slice(at + 1, end);
      if (!PLACEHOLDER.test(name)) {
        const shown = printable(text.slice(at, at + 40));
        return { ok: false, message: `${JSON.stringify(shown)} is no placeholder; write {{ for a brace` };
      }
      parts.push(plain, { name });
      plain = '';
      at = end;
    } else if (c === '}') {
      return { ok: false, message: 'a } without its {; write }} for a brace' };
    } else {
      plain += c;
    }
  }
  return { ok: true, template: [...parts, plain].filter((part) => part !== '') };
}

export function namesIn(template: Template): readonly string[] {
  return template.flatMap((part) => (typeof part === 'string' ? [] : [part.name]));
}

/** Undefined: not known. */
export type Lookup = (name: string) => string | number | undefined;

export function fillText(template: Template, lookup: Lookup): string {
  return template
    .map((part) => {
      if (typeof part === 'string') return part;
      const value = lookup(part.name);
      return value === undefined || value === '' ? UNKNOWN : printable(String(value), MAX_VALUE_LENGTH);
    })
    .join('');
}

/** One word of a command; undefined: it cannot be filled in safely. */
export function fillWord(template: Template, lookup: Lookup): string | undefined {
  let word = '';
  for (const part of template) {
    if (typeof part === 'string') {
      word += part;
      continue;
    }
    const value = lookup(part.name);
    if (value === undefined) return undefined;
    const text = String(value);
    if (text.length > MAX_VALUE_LENGTH || !SAFE.test(text)) return undefined;
    word += text;
  }
  return word;
}
