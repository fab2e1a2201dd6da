/**
 * /proc/PID/mountinfo (proc(5), fs/proc_namespace.c): what is mounted where, as one mount namespace
 * sees it. Reading it asks no filesystem anything, so a dead file server cannot hold the reader.
 */

/** One mount. Paths are as the kernel has them: any byte but NUL, `/`-separated. */
export interface MountLine {
  readonly id: number;
  readonly parent: number;
  /** Of the superblock: major << 20 | minor. */
  readonly dev: number;
  /** What of the filesystem is mounted here; `/` unless it is a bind mount. */
  readonly root: string;
  readonly mountPoint: string;
  readonly options: string;
  readonly fsType: string;
  readonly source: string;
  readonly superOptions: string;
}

/** Beyond it a namespace's further mounts are left out: no node needs them, and a hostile one cannot fill memory. */
export const MAX_MOUNTS = 16_384;

/** Lines that do not have the form are left out. */
export function parseMountinfo(text: string): readonly MountLine[] {
  const found: MountLine[] = [];
  for (const line of text.split('\n')) {
    const mount = parseMountLine(line);
    if (mount !== undefined) found.push(mount);
    if (found.length >= MAX_MOUNTS) break;
  }
  return found;
}

/** `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue` */
export function parseMountLine(line: string): MountLine | undefined {
  const fields = line.split(' ');
  const [id, parent, device, root, mountPoint, options] = fields;
  if (device === undefined || root === undefined || mountPoint === undefined || options === undefined)
    return undefined;
  // Optional fields end with a dash; the source may be empty, which leaves an empty field.
  const dash = fields.indexOf('-', 6);
  const fsType = fields[dash + 1];
  const dev = parseDevice(device);
  if (dash < 0 || fsType === undefined || dev === undefined) return undefined;
  return {
    id: Number(id),
    parent: Number(parent),
    dev,
    root: unescapeOctal(root),
    mountPoint: unescapeOctal(mountPoint),
    options,
    fsType: unescapeOctal(fsType),
    source: unescapeOctal(fields[dash + 2] ?? ''),
    superOptions: fields.slice(dash + 3).join(' '),
  };
}

/** The mount that holds a path, by name alone: the path itself may be on something that hangs. */
export function mountHolding(lines: readonly MountLine[], path: string): MountLine | undefined {
  let best: MountLine | undefined;
  for (const line of lines) {
    const at = line.mountPoint;
    const inside = at === '/' || path === at || path.startsWith(`${at}/`);
    // The later of two at the same place is on top.
    if (inside && at.length >= (best?.mountPoint.length ?? 0)) best = line;
  }
  return best;
}

/** `98:0` → major << 20 | minor. */
export function parseDevice(text: string): number | undefined {
  const colon = text.indexOf(':');
  const major = Number(text.slice(0, colon));
  const minor = Number(text.slice(colon + 1));
  if (colon < 1 || !Number.isInteger(major) || !Number.isInteger(minor)) return undefined;
  // Not by shifting: a major above 2047 would come out negative.
  return major * 0x10_0000 + minor;
}

/** The kernel writes blank, tab, newline, backslash and, in options, comma and `=` as `\ooo`. */
export function unescapeOctal(text: string): string {
  if (!text.includes('\\')) return text;
  return text.replace(/\\([0-3][0-7]{2})/g, (_all, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}

/** Value of `name=value` in a list of options; undefined when it is not there. */
export function optionOf(options: string, name: string): string | undefined {
  for (const option of options.split(',')) {
    if (option.startsWith(`${name}=`)) return unescapeOctal(option.slice(name.length + 1));
  }
  return undefined;
}

export function hasOption(options: string, ...names: readonly string[]): boolean {
  return options.split(',').some((option) => names.includes(option));
}
