/**
 * A kernel log that a test can write to, in the place of /dev/kmsg for one agent alone. Nobody but the kernel can write
 * a line of the kernel's into the real one, and the driver whose lines are wanted is not here.
 */
import { execFileSync } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monotonicRawNs } from '../../../src/kernel/clock.js';
import { logOffsetNs } from '../../../src/probes/kmsg-clock.js';
import { RECORD_BYTES } from '../../../src/probes/kmsg-reader.js';
import { OWN_PREFIX } from '../../lib/owner.js';
import type { Scope } from '../../lib/scope.js';

export interface FakeKmsg {
  /** Put before the agent: it sees the fake, and nobody else does. */
  readonly wrap: readonly string[];
  /** A line of the kernel's, written now. */
  line(text: string): void;
}

const MOUNT = 'mount --bind "$0" /dev/kmsg && exec "$@"';

export function fakeKmsg(scope: Scope): FakeKmsg {
  const directory = mkdtempSync(join(tmpdir(), OWN_PREFIX));
  scope.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const path = join(directory, 'kmsg');
  execFileSync('mkfifo', [path]);
  // Both ends: a reader that comes later finds what was written before.
  const fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  scope.teardown(() => closeSync(fd));
  const offsetNs = logOffsetNs() ?? 0;
  let seq = 0;
  return {
    wrap: ['unshare', '--mount', 'sh', '-c', MOUNT, path],
    line: (text) => {
      const timeUs = Math.round((monotonicRawNs() - offsetNs) / 1e3);
      // A read of the device gives one record. A pipe gives all it has: so each fills what is read at once.
      const record = Buffer.alloc(RECORD_BYTES, ' ');
      record.write(`3,${++seq},${timeUs},-;${text}\n`, 'latin1');
      if (writeSync(fd, record) !== RECORD_BYTES) throw new Error('the pipe is full: nobody reads it');
    },
  };
}
