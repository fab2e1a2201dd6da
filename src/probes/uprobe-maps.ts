/** Which of certain files a process executes, by the text of /proc/PID/maps. */
import { printable } from '../util/text.js';

/** A file that a process executes. */
export interface MappedFile<N extends string = string> {
  readonly library: N;
  /** `fd:01/1234567`: device and inode, what the file is whatever it is called. */
  readonly key: string;
  /** Name in /proc/PID/map_files, which leads to the file even when its path does not any more. */
  readonly range: string;
  /** As the process sees it; for people. */
  readonly path: string;
}

/** Which files are looked for. */
export interface FileKind<N extends string> {
  readonly library: N;
  /** In every path of the kind: no other line of the thousands is cut out. */
  readonly needle: string;
  /** The end of a path of the kind. */
  readonly name: RegExp;
}

/** A piece of the address space that is executed, and where in which file its code is. */
export interface CodeRegion {
  readonly start: number;
  readonly end: number;
  /** In the file, of `start`. */
  readonly offset: number;
  readonly key: string;
  readonly range: string;
  readonly path: string;
}

/** start-end perms offset dev inode path; what comes after a newline in a path is escaped by the kernel. */
const LINE =
  /^([0-9a-f]{1,16})-([0-9a-f]{1,16}) ..x. ([0-9a-f]{1,16}) ([0-9a-f]+:[0-9a-f]+) ([1-9]\d*) +(\/.*)$/;
const DELETED = ' (deleted)';
/** Of one process: more copies than this of one library no program has. */
const MAX_FILES = 8;
const MAX_PATH = 256;
/** A process may have as many mappings as this, and no sane one has. */
const MAX_LINES = 70_000;

/** Each file once, so many at most. */
export function mappedFiles<N extends string>(
  maps: string,
  kinds: readonly FileKind<N>[],
  maxFiles = MAX_FILES,
): readonly MappedFile<N>[] {
  const found = new Map<string, MappedFile<N>>();
  for (const { library, needle, name } of kinds) {
    for (let at = maps.indexOf(needle); at !== -1; at = maps.indexOf(needle, at + 1)) {
      const begin = maps.lastIndexOf('\n', at) + 1;
      const newline = maps.indexOf('\n', at);
      const region = parseLine(maps.slice(begin, newline === -1 ? undefined : newline));
      if (region === undefined || found.has(region.key) || !name.test(plain(region.path))) continue;
      const { key, range, path } = region;
      found.set(key, { library, key, range, path: printable(path, MAX_PATH) });
      if (found.size >= maxFiles) return [...found.values()];
    }
  }
  return [...found.values()];
}

/** The executed file that an address is in; its path as it is, for nobody's eyes. */
export function codeAround(maps: string, address: number): CodeRegion | undefined {
  let at = 0;
  for (let lines = 0; at < maps.length && lines < MAX_LINES; lines++) {
    const newline = maps.indexOf('\n', at);
    const end = newline === -1 ? maps.length : newline;
    // The addresses alone first: parsing all of a line is dear, and only one is wanted.
    const dash = maps.indexOf('-', at);
    const space = maps.indexOf(' ', dash);
    if (dash !== -1 && dash < end && space !== -1 && space < end) {
      const from = Number.parseInt(maps.slice(at, dash), 16);
      const to = Number.parseInt(maps.slice(dash + 1, space), 16);
      if (address >= from && address < to) return parseLine(maps.slice(at, end));
    }
    at = end + 1;
  }
  return undefined;
}

/** Without what the kernel adds when its name is gone. */
function plain(path: string): string {
  return path.endsWith(DELETED) ? path.slice(0, -DELETED.length) : path;
}

function parseLine(line: string): CodeRegion | undefined {
  const [, from, to, offset, dev, inode, path] = LINE.exec(line) ?? [];
  if (from === undefined || to === undefined || offset === undefined) return undefined;
  if (dev === undefined || inode === undefined || path === undefined) return undefined;
  return {
    start: Number.parseInt(from, 16),
    end: Number.parseInt(to, 16),
    offset: Number.parseInt(offset, 16),
    key: `${dev}/${inode}`,
    range: `${from}-${to}`,
    path,
  };
}
