/**
 * Two guests with two wires between them: one for what is tested and broken, one on which the tests tell the second guest
 * what to do. The second one lives as long as the first.
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { OWN_PREFIX } from '../../test/lib/owner.js';
import type { Scope } from '../../test/lib/scope.js';
import { until } from '../../test/lib/until.js';
import { WIRES, macOf } from '../../test/vm/wires.js';
import { type GuestEnd, type GuestRun, type Nic, runGuest } from './guest.js';

/** @returns how the first ended; the second is ended with it */
export async function runTwo(scope: Scope, first: GuestRun, second: GuestRun): Promise<GuestEnd> {
  // Paths of sockets must be short.
  const dir = mkdtempSync(join(tmpdir(), OWN_PREFIX));
  scope.teardown(() => rmSync(dir, { recursive: true, force: true }));
  const sockets = WIRES.map((name) => join(dir, name));
  const nics = (guest: 1 | 2): Nic[] =>
    WIRES.map((wire) => ({ socket: join(dir, wire), listens: guest === 2, mac: macOf(wire, guest) }));
  const stop = new AbortController();
  const peer = runGuest(scope, { ...second, nics: nics(2), signal: stop.signal });
  try {
    await until(() => sockets.every((path) => existsSync(path)), {
      timeoutMs: 20_000,
      what: 'the second guest',
    });
    return await runGuest(scope, { ...first, nics: nics(1) });
  } finally {
    stop.abort();
    await peer;
  }
}
