#!/usr/bin/env node
/**
 * Writes src/kernel/abi.generated.ts from the BTF of bpf/xctl_events.h and what it includes, so that the two sides of the
 * ring cannot drift apart.
 *
 *   node scripts/gen-abi.mjs            write the file
 *   node scripts/gen-abi.mjs --check    exit 1 when the committed file differs
 *
 * The compiler lays the structs out and bpftool reads the layout back: nothing here knows an offset.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const HEADER = join(ROOT, 'bpf', 'xctl_events.h');
const OUTPUT = join(ROOT, 'src', 'kernel', 'abi.generated.ts');

/** Text whose NULs separate words instead of ending it. */
const TEXT_WITH_NULS = new Set(['cmdline']);

/**
 * @typedef {{ id: number, kind: string, name: string, size: number, nr_elems: number, type_id: number,
 *   encoding: string, members: { name: string, type_id: number, bits_offset: number }[],
 *   values: { name: string, val: number }[] }} BtfType
 * @typedef {{ name: string, offset: number, code: string, tsType: string, read: string, length?: number,
 *   struct?: string }} Field
 */

/** @param {readonly string[]} args @param {string} [input] */
function clang(args, input) {
  const command = process.env.CLANG ?? 'clang';
  return execFileSync(command, args, { cwd: ROOT, input, encoding: 'utf8', maxBuffer: 1 << 28 });
}

/** The header with its own includes in their place. */
function headerText() {
  const text = readFileSync(HEADER, 'utf8');
  return text.replace(/^#include "(events\/\w+\.h)"$/gm, (_, /** @type {string} */ part) =>
    readFileSync(join(dirname(HEADER), part), 'utf8'),
  );
}

/** Every struct and enum of the header, in its order. @param {string} header */
function declared(header) {
  const names = [...header.matchAll(/^(struct|enum) (xctl_\w+) \{/gm)];
  return names.map((m) => ({ kind: String(m[1]), name: String(m[2]) }));
}

/** `#define XCTL_NAME number`. @param {string} header */
function constants(header) {
  const found = [];
  for (const m of header.matchAll(/^#define (XCTL_\w+) (0x[0-9a-fA-F]+|\d+)u?\b/gm)) {
    found.push({ name: String(m[1]), value: Number(m[2]) });
  }
  return found;
}

/** @param {readonly { kind: string, name: string }[]} wanted @returns {Map<number, BtfType>} */
function compileToBtf(wanted) {
  const dir = mkdtempSync(join(tmpdir(), 'xctl-abi-'));
  try {
    const variables = wanted.map((w, i) => `${w.kind} ${w.name} v${i};`);
    const source = ['#include "vmlinux.h"', '#include "xctl_events.h"', ...variables, ''].join('\n');
    const object = join(dir, 'abi.o');
    clang(
      ['-g', '-O2', '-Wall', '-Werror', '-target', 'bpf', '-I.', '-Ibpf', '-x', 'c', '-c', '-', '-o', object],
      source,
    );
    const dump = execFileSync('bpftool', ['-j', 'btf', 'dump', 'file', object], {
      encoding: 'utf8',
      maxBuffer: 1 << 28,
    });
    return new Map(JSON.parse(dump).types.map((/** @type {BtfType} */ t) => [t.id, t]));
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** `tcp_state` → `tcpState`. @param {string} name */
function camel(name) {
  return name.replace(/_([a-z0-9])/g, (_, c) => c.toUpperCase());
}

/** `xctl_tcp_state` → `XctlTcpState`. @param {string} name */
function pascal(name) {
  const text = camel(name);
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** @param {Map<number, BtfType>} btf @param {number} id @returns {BtfType} */
function resolved(btf, id) {
  const type = btf.get(id);
  if (type === undefined) throw new Error(`BTF type ${id} does not exist`);
  return ['TYPEDEF', 'CONST', 'VOLATILE'].includes(type.kind) ? resolved(btf, type.type_id) : type;
}

/** @param {BtfType} type @returns {string} code of a scalar: u8 … s64 */
function scalarCode(type) {
  const signed = type.kind === 'INT' && type.encoding === 'SIGNED';
  return `${signed ? 's' : 'u'}${type.size * 8}`;
}

/** @param {string} code @param {string} at */
function scalarRead(code, at) {
  switch (code) {
    case 'u8':
      return `view.getUint8(${at})`;
    case 's8':
      return `view.getInt8(${at})`;
    case 'u16':
      return `view.getUint16(${at}, true)`;
    case 's16':
      return `view.getInt16(${at}, true)`;
    case 'u32':
      return `view.getUint32(${at}, true)`;
    case 's32':
      return `view.getInt32(${at}, true)`;
    case 'u64':
      return `view.getUint32(${at}, true) + view.getUint32(${at} + 4, true) * 0x1_0000_0000`;
    default:
      throw new Error(`no reader for ${code}`);
  }
}

/** @param {Map<number, BtfType>} btf @param {BtfType} struct @returns {Field[]} */
function fieldsOf(btf, struct) {
  let end = 0;
  /** @type {Field[]} */
  const fields = [];
  for (const member of struct.members) {
    const offset = member.bits_offset / 8;
    if (offset !== end) throw new Error(`struct ${struct.name} has a hole before ${member.name}: add a pad`);
    const raw = btf.get(member.type_id);
    const type = resolved(btf, member.type_id);
    const at = offset === 0 ? 'at' : `at + ${offset}`;
    const name = camel(member.name);
    let size = type.size;
    if (type.kind === 'ARRAY') {
      const element = resolved(btf, type.type_id);
      size = element.size * type.nr_elems;
      const length = type.nr_elems;
      const isText = element.name === 'char';
      const code = scalarCode(element);
      if (isText && TEXT_WITH_NULS.has(member.name)) {
        fields.push({
          name,
          offset,
          code: 'words',
          length,
          tsType: 'string',
          read: `readWords(view, ${at}, ${length})`,
        });
      } else if (isText) {
        fields.push({
          name,
          offset,
          code: 'text',
          length,
          tsType: 'string',
          read: `readText(view, ${at}, ${length})`,
        });
      } else if (code === 'u8') {
        fields.push({
          name,
          offset,
          code: 'bytes',
          length,
          tsType: 'Uint8Array',
          read: `readBytes(view, ${at}, ${length})`,
        });
      } else if (code === 'u32' || code === 'u64') {
        fields.push({
          name,
          offset,
          code: `${code}s`,
          length,
          tsType: 'readonly number[]',
          read: `read${code === 'u32' ? 'Uint32s' : 'Uint64s'}(view, ${at}, ${length})`,
        });
      } else {
        throw new Error(`struct ${struct.name}: no reader for ${code}[] ${member.name}`);
      }
    } else if (type.kind === 'STRUCT') {
      const ts = pascal(type.name);
      fields.push({ name, offset, code: 'struct', struct: ts, tsType: ts, read: `decode${ts}(view, ${at})` });
    } else if (type.kind === 'INT' || type.kind === 'ENUM') {
      const code = scalarCode(type);
      fields.push({ name, offset, code, tsType: 'number', read: scalarRead(code, at) });
    } else {
      throw new Error(
        `struct ${struct.name}: ${member.name} is a ${raw?.kind}, which has no place in an ABI`,
      );
    }
    end = offset + size;
  }
  if (end !== struct.size)
    throw new Error(`struct ${struct.name} has ${struct.size - end} bytes of tail padding`);
  return fields;
}

/** What the names of an enum's values have in common, up to an underscore. @param {readonly string[]} names */
function commonPrefix(names) {
  let prefix = names[0] ?? '';
  for (const name of names) while (!name.startsWith(prefix)) prefix = prefix.slice(0, -1);
  return prefix.slice(0, prefix.lastIndexOf('_') + 1);
}

/** @param {BtfType} type */
function emitEnum(type) {
  const name = pascal(type.name);
  const prefix = commonPrefix(type.values.map((v) => v.name));
  const entries = type.values.map((v) => ({ key: v.name.slice(prefix.length), value: v.val }));
  return `/** \`enum ${type.name}\`. */
export const ${name} = {
${entries.map((e) => `  ${e.key}: ${e.value},`).join('\n')}
} as const;
/** Value of \`enum ${type.name}\` → its name in lower case. */
export const ${name}Names: Readonly<Record<number, string>> = {
${entries.map((e) => `  ${e.value}: '${e.key.toLowerCase()}',`).join('\n')}
};
`;
}

/** @param {Map<number, BtfType>} btf @param {BtfType} type */
function emitStruct(btf, type) {
  const name = pascal(type.name);
  const all = fieldsOf(btf, type);
  const fields = all.filter((f) => !/^pad\d*$/.test(f.name));
  const lengthOf = (/** @type {Field} */ f) => (f.length === undefined ? '' : `, length: ${f.length}`);
  const structOf = (/** @type {Field} */ f) => (f.struct === undefined ? '' : `, struct: '${f.struct}'`);
  return `/** \`struct ${type.name}\`, ${type.size} bytes. */
export interface ${name} {
${fields.map((f) => `  readonly ${f.name}: ${f.tsType};`).join('\n')}
}
/** Byte offsets in \`struct ${type.name}\`. */
export const ${name}Layout = {
  sizeBytes: ${type.size},
${fields.map((f) => `  ${f.name}: ${f.offset},`).join('\n')}
} as const;
/** Decodes the record at byte \`at\` of \`view\`. */
export function decode${name}(view: DataView, at: number): ${name} {
  return {
${fields.map((f) => `    ${f.name}: ${f.read},`).join('\n')}
  };
}
const ${name}Fields: AbiStruct = {
  sizeBytes: ${type.size},
  fields: [
${fields.map((f) => `    { name: '${f.name}', offset: ${f.offset}, code: '${f.code}'${lengthOf(f)}${structOf(f)} },`).join('\n')}
  ],
};
`;
}

function generate() {
  const header = headerText();
  const wanted = declared(header);
  const btf = compileToBtf(wanted);
  const named = new Map([...btf.values()].map((t) => [`${t.kind} ${t.name}`, t]));
  /** @param {string} kind @param {string} name */
  const find = (kind, name) => {
    const type = named.get(`${kind} ${name}`);
    if (type === undefined) throw new Error(`${name} is in the header and not in its BTF`);
    return type;
  };
  const structs = wanted.filter((w) => w.kind === 'struct').map((w) => find('STRUCT', w.name));
  const enums = wanted.filter((w) => w.kind === 'enum').map((w) => find('ENUM', w.name));
  const names = structs.map((s) => pascal(s.name));
  const body = structs.map((s) => emitStruct(btf, s)).join('\n');
  const readers = ['readBytes', 'readText', 'readUint32s', 'readUint64s', 'readWords'].filter((r) =>
    body.includes(`${r}(`),
  );
  return `// Generated from the BTF of bpf/xctl_events.h by scripts/gen-abi.mjs (make abi). Do not edit.
// 64-bit values are numbers: exact up to 2^53, rounded to the nearest beyond.
import type { AbiStruct } from './abi-read.js';
import { ${readers.join(', ')} } from './abi-read.js';

${constants(header)
  .map((c) => `export const ${c.name} = ${c.value};`)
  .join('\n')}

${enums.map(emitEnum).join('\n')}
${body}
/** Every struct as data, for tools that write records (tests, fuzzers). */
export const abiStructs = {
${names.map((n) => `  ${n}: ${n}Fields,`).join('\n')}
} as const satisfies Readonly<Record<string, AbiStruct>>;
`;
}

const text = generate();
if (process.argv.includes('--check')) {
  let committed = '';
  try {
    committed = readFileSync(OUTPUT, 'utf8');
  } catch {
    // Missing counts as different.
  }
  if (committed !== text) {
    process.stderr.write('src/kernel/abi.generated.ts is not what bpf/xctl_events.h gives: run `make abi`\n');
    process.exitCode = 1;
  }
} else {
  writeFileSync(OUTPUT, text);
}
