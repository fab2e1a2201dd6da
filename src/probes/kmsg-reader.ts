/** /dev/kmsg as a source of records. Never blocks: the device is opened non-blocking. */
import { closeSync, constants, openSync, readSync } from 'node:fs';
import { XctlError } from '../util/errors.js';

/** More than the kernel makes of one record: CONSOLE_EXT_LOG_MAX is 8 KiB up to 6.2, 2 KiB since. */
export const RECORD_BYTES = 16 * 1024;

/**
 * A number: one record of so many bytes. `overwritten`: records that were not read are gone, the next read
 * gives the oldest that is left. `too-long`: one record did not fit and is gone.
 */
export type KmsgRead = number | 'empty' | 'overwritten' | 'too-long';

export interface KmsgReader {
  read(into: Buffer): KmsgRead;
  close(): void;
}

/** @throws XctlError why it cannot be read here */
export function openKmsg(path: string): KmsgReader {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    const code = codeOf(error);
    const hint = code === 'EPERM' || code === 'EACCES' ? ' (kernel.dmesg_restrict: needs CAP_SYSLOG)' : '';
    throw new XctlError(`${path}: ${code}${hint}`);
  }
  return {
    read: (into) => {
      try {
        const length = readSync(fd, into, 0, into.length, null);
        return length === 0 ? 'empty' : length;
      } catch (error) {
        switch (codeOf(error)) {
          case 'EAGAIN':
            return 'empty';
          case 'EPIPE':
            return 'overwritten';
          case 'EINVAL':
            return 'too-long';
          default:
            throw error;
        }
      }
    },
    close: () => closeSync(fd),
  };
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unreadable';
}
