/** RDMA in words: who is at the other end, which port, when it fell. */
import { timeText } from './evidence.js';
import type { PortDown, QpKnown, QpLife, RdmaPortNode } from '../graph/rdma-node.js';
import { duration } from './words.js';

/** Named are so many. */
const NAMED = 4;

/** `10.0.0.2 QP 291`; as much of it as is known. */
export function remoteEnd({ remote, remoteLid, remoteQpn }: QpKnown): string {
  const where = remote ?? (remoteLid === undefined ? undefined : `LID ${remoteLid}`);
  const qp = remoteQpn === undefined ? undefined : `QP ${remoteQpn}`;
  if (where === undefined && qp === undefined) return 'its peer';
  return [where ?? 'a peer', qp].filter((part) => part !== undefined).join(' ');
}

/** `rdma:mlx5_0/1 (eth0)`. */
export function portName({ id, port }: RdmaPortNode): string {
  const netdev = port?.attrs.netdev;
  return netdev === undefined ? id : `${id} (${netdev})`;
}

/** `DOWN (Disabled)`. */
export function stateName(node: RdmaPortNode, down: PortDown): string {
  const { port } = node;
  const known = down.state === 'PORT_ERR' ? 'down' : down.state;
  const physState = port !== undefined && port.attrs.state === down.state ? port.attrs.physState : undefined;
  return physState === undefined ? known : `${known} (${physState})`;
}

/** `12:03:04Z`: with the date of the answer beside it that is enough. */
export function clockText(ts: number): string {
  return `${timeText(ts).slice(11, 19)}Z`;
}

/** "down 4 times within 6 min 2 s, last 12.0 s ago (11:58:01Z, 12:01:02Z, 12:03:44Z)". */
export function fallsText(falls: readonly number[], count: number, now: number): string {
  const first = falls[0] ?? now;
  const last = falls.at(-1) ?? now;
  const shown = falls.slice(-4).map(clockText).join(', ');
  const times = count === 1 ? 'once' : `${count} times within ${duration(now - first)}`;
  return `down ${times}, last ${duration(Math.max(0, now - last))} ago (${falls.length > 4 ? '…, ' : ''}${shown})`;
}

/** `QP 17 of rxe0`. */
export function ownEnd({ attrs: { device, qpn } }: QpLife): string {
  return `QP ${qpn} of ${device}`;
}

/** `10.0.0.2, 10.0.0.3`: to whom. */
export function remotesText(lives: readonly QpLife[]): string {
  const remotes = [
    ...new Set(
      lives.map(
        ({ attrs: { remote, remoteLid } }) =>
          remote ?? (remoteLid === undefined ? 'an unknown peer' : `LID ${remoteLid}`),
      ),
    ),
  ];
  return `${remotes.slice(0, NAMED).join(', ')}${remotes.length > NAMED ? ', …' : ''}`;
}
