/**
 * NVLink 5 (Xid 144–150). One code covers many faults; the line says which:
 *
 *     149, NETIR_LINK_EVT Fatal XC0 i0 Link 08 (0x004505c6 0x00000000 0x00000000 …)
 *
 * The unit; fatal or not; whether the fault spreads to other contexts; whether somebody injected it; the link,
 * or -1 for none. Of the words in brackets the first says in bits 20–25 why a link went down, the second is the
 * error status of the unit. Drivers before 575 number units differently in the first word: the name is used.
 */
import type { FollowUp, Immediate } from './actions.js';

export interface NvlinkFault {
  /** `RLW_REMAP`, `NETIR_LINK_EVT`, … */
  readonly unit: string;
  readonly fatal: boolean;
  /** It may hurt other contexts than the one it happened in. */
  readonly spreads: boolean;
  /** Somebody made it on purpose. */
  readonly injected: boolean;
  readonly link?: number;
  readonly status?: number;
  /** Why the link went down: a key of `LINK_DOWN`. */
  readonly reason?: number;
}

export interface Advice {
  readonly immediate: Immediate;
  readonly followUp: FollowUp;
}

/** Why a link went down, as its physical layer says. */
export const LINK_DOWN: Readonly<Record<number, Advice & { readonly says: string }>> = {
  0: reason('no reason was given', 'report-if-alone'),
  1: reason('the reason is not known', 'report-if-repeated'),
  2: reason('too many bits were wrong', 'check-signal'),
  4: reason('the lanes lost their alignment', 'check-signal'),
  10: reason('retransmission did not succeed in time', 'check-signal'),
  15: reason('a command took it down', 'check-who-did-it'),
  16: reason('a command took it down, and many bits were wrong', 'check-who-did-it-and-signal'),
  17: reason('a command over the link took it down', 'check-who-did-it'),
  18: reason('a command over the link took it down, and many bits were wrong', 'check-who-did-it-and-signal'),
  21: reason('the other end began to train the link anew', 'check-peer'),
  22: reason('management software took it down', 'check-who-did-it'),
  32: reason('the other end put it to sleep', 'check-peer'),
  33: reason('the other end disabled it', 'check-peer'),
  34: reason('the other end disabled and locked it', 'check-peer'),
  35: reason('the other end was too hot', 'check-peer'),
  36: reason('the other end was forced down', 'check-peer'),
  37: reason('the other end was reset', 'check-peer'),
  38: reason('software or a person took it down', 'check-who-did-it', 'ignore'),
  40: reason('the host took it down', 'check-host', 'ignore'),
  42: reason('the signal or the cable was too bad', 'check-signal-and-cables'),
  43: reason('the signal or the cable was too bad', 'check-signal-and-cables'),
};

function reason(says: string, followUp: FollowUp, immediate: Immediate = 'reset-gpu') {
  return { says, immediate, followUp };
}

/** Status bits of what is not fatal: corrected, nothing to do. */
const CORRECTED: Readonly<Record<string, number>> = {
  SAW_MVB: 0x24,
  RLW_REMAP: 0x300,
  RLW_RSPCOL: 0x1,
  RLW_SRC_TRACK: 0x2,
  RLW_TAGSTATE: 0x10001,
  TLW_CTRL: 0x1,
  TLW_RX: 0x1,
  TLW_RX_PIPE0: 0x1,
  TLW_RX_PIPE1: 0x1,
  TLW_TX: 0x1,
  TLW_TX_PIPE0: 0x1,
  TLW_TX_PIPE1: 0x1,
  NETIR_MFDE_EVENT: 0x3,
};
/** Status bits of what is not fatal for the GPU, but for the program. */
const APPLICATION: Readonly<
  Record<string, readonly { readonly bits: number; readonly followUp: FollowUp }[]>
> = {
  RLW_REMAP: [
    { bits: 0x3, followUp: 'contact-support' },
    { bits: 0x3c, followUp: 'report-if-alone' },
  ],
  RLW_SRC_TRACK: [{ bits: 0xc, followUp: 'none' }],
};

/** What to do about such a fault; undefined members of it make the answer more cautious. */
export function nvlinkAdvice({ unit, fatal, status, reason: why }: NvlinkFault): Advice {
  if (fatal) {
    if (why !== undefined) {
      const { immediate = 'reset-gpu', followUp = 'check-signal' } = LINK_DOWN[why] ?? {};
      return { immediate, followUp };
    }
    if (unit === 'NETIR' || unit === 'NETIR_INT')
      return { immediate: 'reset-gpu', followUp: 'report-if-alone' };
    return { immediate: 'reset-gpu', followUp: 'contact-support' };
  }
  if (unit === 'NETIR_BER_EVENT') return { immediate: 'ignore', followUp: 'check-signal-and-cables' };
  if (status === undefined) return { immediate: 'ignore', followUp: 'contact-support' };
  const application = APPLICATION[unit]?.find(({ bits }) => (status & bits) !== 0);
  if (application !== undefined)
    return { immediate: 'follow-recovery-action', followUp: application.followUp };
  const corrected = CORRECTED[unit] ?? 0;
  const quiet = status !== 0 && (status & ~corrected) === 0;
  return { immediate: 'ignore', followUp: quiet ? 'none' : 'contact-support' };
}

const MAX_CHARS = 256;
/** Words before the severity. */
const UNIT_WORDS = 3;
const UNIT = /^[A-Za-z0-9_/ ]{1,48}$/;
const WORD = /^[([]?0x([0-9a-f]{8})[)\]]?$/i;

/** What follows the number (and the process) in the line; undefined when it is not of this form. */
export function nvlinkFault(message: string): NvlinkFault | undefined {
  const words = message
    .slice(0, MAX_CHARS)
    .split(' ')
    .filter((word) => word !== '');
  const at = words.findIndex((word) => word === 'Fatal' || word === 'Nonfatal' || word === 'Non-fatal');
  const said = words.slice(0, at).join(' ');
  if (at < 1 || at > UNIT_WORDS || !UNIT.test(said)) return undefined;
  // `TLW_RX/TLW_RX_PIPE0`: the name before driver 575 and the one since.
  const unit = said.slice(said.lastIndexOf('/') + 1);
  const rest = words.slice(at + 1);
  // Two digits always: with one, the rest of it is cut off.
  const linkText = valueAfter(rest, 'Link') ?? '';
  const link = /^\d{2,3}$/.test(linkText) ? Number(linkText) : undefined;
  const [info, status] = rest.flatMap((word) => {
    const hex = WORD.exec(word)?.[1];
    return hex === undefined ? [] : [Number.parseInt(hex, 16)];
  });
  return {
    unit,
    fatal: words[at] === 'Fatal',
    spreads: flag(rest, 'XC'),
    injected: flag(rest, 'i'),
    ...(link !== undefined && { link }),
    ...(status !== undefined && { status }),
    ...(info !== undefined && unit.startsWith('NETIR_LINK_') && { reason: (info >>> 20) & 0x3f }),
  };
}

/** `XC1`, and `XC 1` of some drivers. */
function flag(words: readonly string[], name: string): boolean {
  const joined = words.find((word) => word.startsWith(name) && isDigits(word.slice(name.length)));
  const text = joined?.slice(name.length) ?? valueAfter(words, name) ?? '';
  return isDigits(text) && Number(text) !== 0;
}

function valueAfter(words: readonly string[], name: string): string | undefined {
  const at = words.indexOf(name);
  return at === -1 ? undefined : words[at + 1];
}

function isDigits(text: string): boolean {
  return /^\d{1,3}$/.test(text);
}
