/** YAML 1.2 with what js-yaml knows of places: its events carry offsets, its values do not. */
import {
  constructFromEvents,
  CORE_SCHEMA,
  EVENT_ID,
  getScalarValue,
  parseEvents,
  YAMLException,
} from 'js-yaml';
import { assertNever, messageOf } from '../util/errors.js';
import type { Path } from './schema-check.js';
import { MAX_DEPTH, Offsets, type Source, SourceError } from './source.js';

const MAX_ALIASES = 50;

type YamlEvents = ReturnType<typeof parseEvents>;

/** @throws SourceError */
export function readYaml(text: string): Source {
  try {
    const events = parseEvents(text, { maxDepth: MAX_DEPTH });
    const options = { source: text, schema: CORE_SCHEMA, maxAliases: MAX_ALIASES };
    const documents = constructFromEvents(events, options);
    if (documents.length > 1) throw new SourceError('holds several YAML documents; keep one', 0);
    if (documents.length === 0) throw new SourceError('is empty', 0);
    const offsets = offsetsOf(text, events);
    return { value: documents[0], offsetOf: (path) => offsets.find(path) };
  } catch (error) {
    if (error instanceof SourceError) throw error;
    // Whatever a hostile text makes a parser throw is a bad file and no more.
    if (!(error instanceof YAMLException)) throw new SourceError(messageOf(error), 0, { cause: error });
    throw new SourceError(`not YAML: ${error.reason ?? error.message}`, error.mark?.position ?? 0, {
      cause: error,
    });
  }
}

/** A collection that is open: where in it we are. */
interface Open {
  readonly path: Path;
  readonly kind: 'document' | 'list' | 'mapping';
  /** Members so far; in a mapping keys and values alternate. */
  members: number;
  key: string;
  keyOffset: number;
}

function offsetsOf(text: string, events: YamlEvents): Offsets {
  const offsets = new Offsets();
  const stack: Open[] = [];
  for (const event of events) {
    switch (event.type) {
      case EVENT_ID.DOCUMENT:
        stack.push(open([], 'document'));
        break;
      case EVENT_ID.SEQUENCE:
      case EVENT_ID.MAPPING: {
        const path = enter(offsets, stack.at(-1), event.start, '');
        stack.push(open(path, event.type === EVENT_ID.MAPPING ? 'mapping' : 'list'));
        break;
      }
      case EVENT_ID.SCALAR:
        enter(offsets, stack.at(-1), event.valueStart, getScalarValue(text, event));
        break;
      case EVENT_ID.ALIAS:
        enter(offsets, stack.at(-1), event.anchorStart, '');
        break;
      case EVENT_ID.POP:
        stack.pop();
        break;
      default:
        assertNever(event);
    }
  }
  return offsets;
}

function open(path: Path, kind: Open['kind']): Open {
  return { path, kind, members: 0, key: '', keyOffset: 0 };
}

/** The next node within `around`. @returns its path */
function enter(offsets: Offsets, around: Open | undefined, offset: number, text: string): Path {
  if (around === undefined) return [];
  const at = around.members++;
  switch (around.kind) {
    case 'document':
      offsets.set([], offset);
      return [];
    case 'list': {
      const path = [...around.path, at];
      offsets.set(path, offset);
      return path;
    }
    case 'mapping': {
      if (at % 2 === 0) {
        around.key = text;
        around.keyOffset = offset;
        return around.path;
      }
      const path = [...around.path, around.key];
      // Of a key and its value the key is what people look for; a value that is wrong stands behind it.
      offsets.set(path, around.keyOffset);
      return path;
    }
  }
}
