/** Which copies of libnccl and libcuda a process has mapped, by the text of /proc/PID/maps. */
import { printable } from '../util/text.js';
import type { GpuLibraryName } from './gpu-trace-functions.js';

/** A file that a process executes. */
export interface MappedLibrary {
  readonly library: GpuLibraryName;
  /** `fd:01/1234567`: device and inode, what the file is whatever it is called. */
  readonly key: string;
  /** Name in /proc/PID/map_files, which leads to the file even when its path does not any more. */
  readonly range: string;
  /** As the process sees it; for people. */
  readonly path: string;
}

/** start-end perms offset dev inode path; what comes after a newline in a path is escaped by the kernel. */
const LINE = /^([0-9a-f]{1,16}-[0-9a-f]{1,16}) ..x. [0-9a-f]+ ([0-9a-f]+:[0-9a-f]+) ([1-9]\d*) +(\/.*)$/;
const NAME = /\/(libnccl|libcuda)\.so(?:\.[0-9.]+)?(?: \(deleted\))?$/;
/** Of one process: more copies than this no program has. */
const MAX_LIBRARIES = 8;
const MAX_PATH = 256;

/** Each file once. */
export function mappedLibraries(maps: string): readonly MappedLibrary[] {
  const found = new Map<string, MappedLibrary>();
  for (const name of ['libnccl', 'libcuda'] as const) {
    // Thousands of lines, of which two or three matter: no line is cut out in vain.
    const needle = `/${name}.so`;
    for (let at = maps.indexOf(needle); at !== -1; at = maps.indexOf(needle, at + 1)) {
      const begin = maps.lastIndexOf('\n', at) + 1;
      const newline = maps.indexOf('\n', at);
      const library = parseLine(maps.slice(begin, newline === -1 ? undefined : newline));
      if (library === undefined || found.has(library.key)) continue;
      found.set(library.key, library);
      if (found.size >= MAX_LIBRARIES) return [...found.values()];
    }
  }
  return [...found.values()];
}

function parseLine(line: string): MappedLibrary | undefined {
  const [, range, dev, inode, path] = LINE.exec(line) ?? [];
  if (range === undefined || dev === undefined || inode === undefined || path === undefined) return undefined;
  const name = NAME.exec(path)?.[1];
  if (name !== 'libnccl' && name !== 'libcuda') return undefined;
  return { library: name, key: `${dev}/${inode}`, range, path: printable(path, MAX_PATH) };
}
