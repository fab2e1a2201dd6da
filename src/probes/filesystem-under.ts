/** What a filesystem lies on, from sysfs: block devices by number or, where it has no number, by name. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { basename } from 'node:path';
import { blockId } from '../events/ids.js';
import { printable } from '../util/text.js';
import { type MountLine, parseDevice } from './mountinfo.js';

export const MINOR_BITS = 20;

/** Kernel dev_t: major << 20 | minor. */
export function majorOf(dev: number): number {
  return dev >>> MINOR_BITS;
}

export function minorOf(dev: number): number {
  return dev & 0xfffff;
}

/** `block:nvme0n1p2`; undefined when the number is no block device's. */
export function blockOf(dev: number, sysDir: string): string | undefined {
  if (majorOf(dev) === 0) return undefined;
  try {
    return blockId(nameOf(readlinkSync(`${sysDir}/dev/block/${majorOf(dev)}:${minorOf(dev)}`)));
  } catch {
    return undefined; // not a block device, or gone
  }
}

/** Ids of the block devices under a mounted filesystem; none for a network's, memory's or an unknown one. */
export function blocksUnder(line: MountLine, sysDir: string): readonly string[] {
  const direct = blockOf(line.dev, sysDir);
  if (direct !== undefined) return [direct];
  // btrfs and bcachefs span devices and number themselves.
  if (!line.source.startsWith('/dev/')) return [];
  const [first = ''] = line.source.split(':');
  const name = blockName(first.slice('/dev/'.length), sysDir);
  return name === undefined ? [] : btrfsMembers(name, sysDir).map(blockId);
}

/** The kernel's name of `sda1` or `mapper/data`, without asking /dev. */
function blockName(name: string, sysDir: string): string | undefined {
  const names = list(`${sysDir}/class/block`);
  if (names.includes(name)) return name;
  if (!name.startsWith('mapper/')) return undefined;
  const wanted = name.slice('mapper/'.length);
  return names.find(
    (known) => known.startsWith('dm-') && text(`${sysDir}/class/block/${known}/dm/name`) === wanted,
  );
}

function btrfsMembers(name: string, sysDir: string): readonly string[] {
  for (const uuid of list(`${sysDir}/fs/btrfs`)) {
    const members = list(`${sysDir}/fs/btrfs/${uuid}/devices`);
    if (members.includes(name)) return members;
  }
  return [name];
}

/**
 * Device numbers of a block device, its partitions, and of what dm or md made of them.
 * @param name the kernel's, `sda`
 */
export function devsOfBlock(name: string, sysDir: string): ReadonlySet<number> {
  const found = new Set<number>();
  const seen = new Set<string>();
  const visit = (at: string): void => {
    // A name with a slash would lead out of the directory; sysfs writes `!` in its place.
    if (seen.has(at) || at.includes('/') || at === '' || at === '..') return;
    seen.add(at);
    const dir = `${sysDir}/class/block/${at}`;
    const dev = parseDevice(text(`${dir}/dev`));
    if (dev !== undefined) found.add(dev);
    for (const above of list(`${dir}/holders`)) visit(above);
    for (const part of list(dir))
      if (part.startsWith(at) && text(`${dir}/${part}/partition`) !== '') visit(part);
  };
  visit(name);
  return found;
}

function nameOf(link: string): string {
  return printable(basename(link), 64);
}

function text(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return '';
  }
}

function list(path: string): readonly string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}
