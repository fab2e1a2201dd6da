/** IP addresses from network order to text: dotted quads, and RFC 5952 for IPv6. */

/** @param at first byte of 4 (`v4`) or 16 bytes. */
export function formatAddress(view: DataView, at: number, v4: boolean): string {
  return v4 ? formatV4(view, at) : formatV6(view, at);
}

function formatV4(view: DataView, at: number): string {
  return `${view.getUint8(at)}.${view.getUint8(at + 1)}.${view.getUint8(at + 2)}.${view.getUint8(at + 3)}`;
}

function formatV6(view: DataView, at: number): string {
  const groups: number[] = [];
  for (let i = 0; i < 8; i++) groups.push(view.getUint16(at + i * 2, false));
  const { start, length } = longestZeroRun(groups);
  if (length < 2) return groups.map(hex).join(':');
  return `${groups.slice(0, start).map(hex).join(':')}::${groups
    .slice(start + length)
    .map(hex)
    .join(':')}`;
}

function hex(group: number): string {
  return group.toString(16);
}

/** The first of the longest runs, as RFC 5952 wants it. */
function longestZeroRun(groups: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  let start = 0;
  for (let i = 0; i <= groups.length; i++) {
    if (groups[i] === 0) continue;
    if (i - start > best.length) best = { start, length: i - start };
    start = i + 1;
  }
  return best;
}
