/** `--config FILE`: YAML with the same names as the flags; every complaint names file and line. */
import { readFileSync } from 'node:fs';
import { EVENT_ID, getScalarValue, loadAll, parseEvents, YAMLException } from 'js-yaml';
import { assertNever, errnoOf, messageOf, UsageError } from '../util/errors.js';
import { printable } from '../util/text.js';

export interface ConfigFile {
  readonly values: ReadonlyMap<string, unknown>;
  /** `agent.yaml:3`, for a message about this key. */
  where(key: string): string;
}

const MAX_BYTES = 1024 * 1024;
/** Inside the document and its mapping. */
const TOP = 2;

/** @throws UsageError when the file cannot be read, is no YAML or no mapping */
export function readConfigFile(path: string): ConfigFile {
  const source = readText(path);
  const name = printable(path);
  let documents: readonly unknown[];
  try {
    documents = loadAll(source, { filename: path });
  } catch (error) {
    throw notYaml(error, name);
  }
  if (documents.length > 1) throw new UsageError(`${name} holds several YAML documents; keep one`);
  // None: a file shipped with every setting commented out.
  const document = documents[0] ?? {};
  if (typeof document !== 'object' || Array.isArray(document)) {
    throw new UsageError(`${name} is not a mapping; write lines like \`metrics-port: 9100\``);
  }
  const offsets = keyOffsets(source);
  return {
    values: new Map(Object.entries(document)),
    where: (key) => {
      const offset = offsets.get(key);
      return offset === undefined ? name : `${name}:${lineOf(source, offset)}`;
    },
  };
}

function readText(path: string): string {
  try {
    const text = readFileSync(path, 'utf8');
    if (text.length > MAX_BYTES)
      throw new UsageError(`${printable(path)} is over 1 MiB: not a configuration`);
    return text;
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw new UsageError(`cannot read --config ${printable(path)} (${errnoOf(error) ?? messageOf(error)})`, {
      cause: error,
    });
  }
}

function notYaml(error: unknown, name: string): UsageError {
  if (!(error instanceof YAMLException))
    return new UsageError(`${name}: ${messageOf(error)}`, { cause: error });
  const at = error.mark === undefined ? name : `${name}:${error.mark.line + 1}`;
  return new UsageError(`${at}: not YAML: ${printable(error.reason ?? error.message, 200)}`, {
    cause: error,
  });
}

/** Where each key of the top mapping begins: load() does not say. */
function keyOffsets(source: string): ReadonlyMap<string, number> {
  const offsets = new Map<string, number>();
  let depth = 0;
  let isKey = true;
  for (const event of parseEvents(source, {})) {
    switch (event.type) {
      case EVENT_ID.DOCUMENT:
      case EVENT_ID.SEQUENCE:
      case EVENT_ID.MAPPING:
        depth++;
        continue;
      case EVENT_ID.POP:
        depth--;
        break;
      case EVENT_ID.SCALAR:
        if (depth === TOP && isKey) offsets.set(getScalarValue(source, event), event.valueStart);
        break;
      case EVENT_ID.ALIAS:
        break;
      default:
        assertNever(event);
    }
    // A whole node of the top mapping has passed: keys and values alternate there.
    if (depth === TOP) isKey = !isKey;
  }
  return offsets;
}

function lineOf(source: string, offset: number): number {
  return source.slice(0, offset).split('\n').length;
}
