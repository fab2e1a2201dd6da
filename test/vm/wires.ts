/** The network cards of two guests that are joined (scripts/vm/two.ts), and their addresses. */
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { until } from '../lib/until.js';

const run = promisify(execFile);
const NET = '/sys/class/net';

/** What is tested goes over the first, what is said about it over the second. */
export const WIRES = ['wire', 'control'] as const;
export type Wire = (typeof WIRES)[number];

/** Of the second guest, on the control wire. */
export const PEER_PORT = 7878;

export function macOf(wire: Wire, guest: 1 | 2): string {
  return `52:54:00:78:0${WIRES.indexOf(wire)}:0${guest}`;
}

export function addressOf(wire: Wire, guest: 1 | 2): string {
  return `10.${78 + WIRES.indexOf(wire)}.0.${guest}`;
}

/** Whether this is one of two guests. */
export async function hasWires(guest: 1 | 2): Promise<boolean> {
  await run('modprobe', ['virtio_net']).catch(() => undefined);
  return WIRES.every((wire) => cardOf(wire, guest) !== undefined);
}

/** Names the cards `wire` and `control`, and gives them their addresses. */
export async function setUpWires(guest: 1 | 2): Promise<void> {
  await run('modprobe', ['virtio_net']);
  for (const wire of WIRES) {
    const card = await until(() => cardOf(wire, guest), { timeoutMs: 10_000, what: `the card of ${wire}` });
    await run('ip', ['link', 'set', card, 'down']);
    await run('ip', ['link', 'set', card, 'name', wire]);
    await run('ip', ['address', 'add', `${addressOf(wire, guest)}/24`, 'dev', wire]);
    await run('ip', ['link', 'set', wire, 'up']);
    // Nothing is left to find out: a question that is lost would be another fault.
    const other = guest === 1 ? 2 : 1;
    const neighbour = [addressOf(wire, other), 'lladdr', macOf(wire, other), 'dev', wire, 'nud', 'permanent'];
    await run('ip', ['neighbour', 'replace', ...neighbour]);
  }
}

function cardOf(wire: Wire, guest: 1 | 2): string | undefined {
  return readdirSync(NET).find(
    (name) => readFileSync(join(NET, name, 'address'), 'latin1').trim() === macOf(wire, guest),
  );
}
