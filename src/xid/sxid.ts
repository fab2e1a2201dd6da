/**
 * Faults of NVSwitches: what an SXid means and what to do about it. There are hundreds, and the line itself says
 * whether one is fatal, so this table has the units, and those codes that ask for something of their own.
 * Written from NVIDIA's public fabric manager guide, in our own words.
 */
import type { FollowUp, Immediate } from './actions.js';

export type SxidSeverity = 'correctable' | 'non-fatal' | 'fatal' | 'unknown';

export interface Sxid {
  readonly code: number;
  /** Which part of the switch. */
  readonly unit: string;
  /** `always-fatal`: the whole fabric stands until the node is rebooted. */
  readonly effect: SxidSeverity | 'always-fatal';
  readonly means: string;
  readonly immediate: Immediate;
  readonly followUp: FollowUp;
}

/** By thousands. */
const UNITS: Readonly<Record<number, string>> = {
  10: 'the switch itself',
  11: 'the way into a port',
  12: 'the way out of a port',
  13: 'the state of a port (F)',
  14: 'the state of a port (T)',
  15: 'the routing of a port',
  16: 'a port',
  17: 'the control of a link',
  18: 'the interface of a link',
  19: 'the transaction layer of a link',
  20: 'the data and physical layer of a link',
  21: 'a crossbar port',
  22: 'the link microcontroller',
  23: 'the crossbar',
  24: 'the tracking of requests',
  25: 'the interface of one link',
  26: 'the system microcontroller',
  27: 'the cable interface',
  28: 'multicast',
  29: 'reduction',
};

const ALWAYS_FATAL: ReadonlySet<number> = new Set([
  12020, 22003, 22011, 23001, 23002, 23003, 23004, 23005, 23006, 23007, 23008, 23009, 23010, 23011, 23012,
  23013, 23014, 23015, 23016, 23017,
]);

/** Single bits that the switch corrected. */
const CORRECTED: ReadonlySet<number> = new Set([
  11012, 11021, 11022, 11023, 12021, 12023, 15008, 15011, 19049, 19055, 19057, 19059, 19062, 19065, 19068,
  19071, 24001, 24002, 24003,
]);

type Notable = Pick<Sxid, 'means' | 'immediate' | 'followUp'>;

const NOTABLE: Readonly<Record<number, Notable>> = {
  10001: notable('An access to a register of the switch failed.', 'ignore', 'report-if-alone'),
  10002: notable('An access to a register of the switch took too long.', 'ignore', 'report-if-alone'),
  10003: notable('The switch raised an interrupt that nobody handles.', 'reset-all', 'contact-support'),
  10004: notable('The switch is too hot.', 'ignore', 'check-cooling'),
  10005: notable('The switch is not too hot any more.', 'ignore', 'check-cooling'),
  10006: notable('The switch was shut down because of heat.', 'reset-all', 'check-cooling'),
  11004: notable('A GPU sent to one that is not in its partition.', 'restart-vm', 'check-routing'),
  12028: notable('A request that may not be made was answered with an error.', 'restart-vm', 'check-app'),
  19084: notable('A fault of the same moment stopped traffic on a link.', 'reset-all', 'report-if-alone'),
  20001: notable('Packets had to be sent again; traffic goes on, slower.', 'ignore', 'check-signal'),
  20009: notable('Many bits were wrong for a short time.', 'ignore', 'check-signal-and-cables'),
  20012: notable('A link is not well connected.', 'check-mechanicals', 'check-signal-and-cables'),
  20034: notable('A link went down.', 'reset-gpu', 'check-signal-and-cables'),
  22013: notable('The link microcontroller reported something minor.', 'ignore', 'none'),
};

function notable(means: string, immediate: Immediate, followUp: FollowUp): Notable {
  return { means, immediate, followUp };
}

/** @param severity as the line says */
export function sxid(code: number, severity: SxidSeverity): Sxid {
  const unit = UNITS[Math.floor(code / 1000)] ?? 'an unknown part';
  const known = NOTABLE[code];
  if (ALWAYS_FATAL.has(code))
    return {
      code,
      unit,
      effect: 'always-fatal',
      means: `NVSwitch: ${unit} failed in a way that stops the whole fabric.`,
      immediate: 'reboot',
      followUp: 'contact-support',
    };
  if (known !== undefined) return { code, unit, effect: severity, ...known };
  if (CORRECTED.has(code) || severity === 'correctable')
    return {
      code,
      unit,
      effect: 'correctable',
      means: `NVSwitch: ${unit} corrected an error.`,
      immediate: 'ignore',
      followUp: 'none',
    };
  if (severity === 'fatal')
    return {
      code,
      unit,
      effect: 'fatal',
      means: `NVSwitch: ${unit} failed; GPUs on that link see it as a failed NVLink.`,
      immediate: 'reset-all',
      followUp: 'contact-support',
    };
  return {
    code,
    unit,
    effect: severity,
    means: `NVSwitch: ${unit} reported an error that does not stop the fabric.`,
    immediate: 'ignore',
    followUp: 'report-if-repeated',
  };
}
