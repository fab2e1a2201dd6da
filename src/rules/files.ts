/**
 * Which rule files there are, and whether they can be trusted: what they say is told to people with root rights, so only
 * root and the user that the agent runs as may write them. A group that is root's, or the owner's own, is nobody else.
 */
import { constants, type Stats } from 'node:fs';
import { type FileHandle, open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf, messageOf, XctlError } from '../util/errors.js';

export const MAX_FILE_BYTES = 256 * 1024;
export const MAX_FILES = 500;
export const MAX_TOTAL_BYTES = 4 * 1024 * 1024;

/** A file or a directory that is not read; `message` is the rest of `rules.yaml: …`. */
export class RefusedFileError extends XctlError {
  override readonly name = 'RefusedFileError';
}

/** Uids that may own rule files. */
export type Owners = ReadonlySet<number>;

/** Root and who runs this. @param owner uid of a directory that comes with the program itself */
export function trustedOwners(owner?: number): Owners {
  const self = process.geteuid?.();
  return new Set([0, ...(self === undefined ? [] : [self]), ...(owner === undefined ? [] : [owner])]);
}

/**
 * Names of the rule files in a directory, sorted.
 * @throws RefusedFileError
 */
export async function listRuleFiles(directory: string, owners: Owners): Promise<readonly string[]> {
  const found = await attempt(() => stat(directory));
  if (!found.isDirectory()) throw new RefusedFileError('is no directory');
  requireTrusted(found, owners);
  const names = await attempt(() => readdir(directory));
  const files = names.filter((name) => /\.(?:ya?ml|toml)$/.test(name) && !name.startsWith('.')).sort();
  if (files.length > MAX_FILES)
    throw new RefusedFileError(`holds ${files.length} rule files, over ${MAX_FILES}`);
  return files;
}

/**
 * @returns its text
 * @throws RefusedFileError
 */
export async function readRuleFile(directory: string, name: string, owners: Owners): Promise<string> {
  // A FIFO would wait for its writer for ever. Links are followed: a ConfigMap is made of them; what counts is the file.
  const flags = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY;
  const file = await attempt(() => open(join(directory, name), flags));
  try {
    const found = await attempt(() => file.stat());
    if (!found.isFile()) throw new RefusedFileError('is no regular file');
    requireTrusted(found, owners);
    if (found.size > MAX_FILE_BYTES) throw tooLarge(found.size);
    return decode(await attempt(() => readBounded(file)));
  } finally {
    await file.close();
  }
}

/** @throws RefusedFileError others than the owners may write what is in it */
export function requireTrusted({ uid, gid, mode }: Stats, owners: Owners): void {
  if (!owners.has(uid)) {
    const trusted = [...owners].sort((a, b) => a - b).map((one) => (one === 0 ? 'root' : `uid ${one}`));
    throw new RefusedFileError(
      `belongs to uid ${uid}; only what belongs to ${trusted.join(' or ')} is taken (chown root)`,
    );
  }
  // A directory with the sticky bit lets everybody add files all the same.
  const octal = (mode & 0o7777).toString(8);
  if ((mode & 0o002) !== 0)
    throw new RefusedFileError(`may be written by everybody (mode ${octal}); chmod go-w`);
  if ((mode & 0o020) !== 0 && !isOwnGroup(uid, gid))
    throw new RefusedFileError(`may be written by group ${gid} (mode ${octal}); chmod g-w, or chgrp root`);
}

/**
 * Whoever has the umask 002 has a group to themselves, which bears their number (Fedora's and Ubuntu's way): a checkout of
 * theirs is written by nobody else.
 */
function isOwnGroup(uid: number, gid: number): boolean {
  return gid === 0 || gid === uid;
}

/** It may have grown since it was measured. */
async function readBounded(file: FileHandle): Promise<Buffer> {
  const buffer = Buffer.alloc(MAX_FILE_BYTES + 1);
  let size = 0;
  while (size < buffer.length) {
    const { bytesRead } = await file.read(buffer, size, buffer.length - size, size);
    if (bytesRead === 0) return buffer.subarray(0, size);
    size += bytesRead;
  }
  throw tooLarge(size);
}

function tooLarge(bytes: number): RefusedFileError {
  return new RefusedFileError(
    `is ${Math.ceil(bytes / 1024)} KiB, over ${MAX_FILE_BYTES / 1024} KiB; split it`,
  );
}

function decode(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    throw new RefusedFileError('is not UTF-8', { cause: error });
  }
}

async function attempt<T>(what: () => Promise<T>): Promise<T> {
  try {
    return await what();
  } catch (error) {
    if (error instanceof RefusedFileError) throw error;
    throw new RefusedFileError(`cannot be read (${errnoOf(error) ?? messageOf(error)})`, { cause: error });
  }
}
