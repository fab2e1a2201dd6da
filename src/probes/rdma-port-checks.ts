/** What is seen of RDMA ports here, and what was taken away and why, for `xctl doctor`. */
import type { Check } from '../util/check.js';
import type { RdmaPort } from './rdma-port.js';

export interface PortsSeen {
  readonly ports: readonly RdmaPort[];
  /** Devices that do not answer. */
  readonly hung: readonly string[];
  readonly refused: number;
  readonly stats: { readonly looks: number; readonly spentMs: number };
}

/** A line is for people: a node has eight ports at most, a switchdev card has hundreds. */
const MAX_NAMED = 8;

export function portChecks(seen: PortsSeen): readonly Check[] {
  const { ports, hung, refused } = seen;
  const name = 'probe rdma/ports';
  if (ports.length === 0 && refused === 0) return [{ status: 'off', name, detail: 'no RDMA device' }];
  const checks: Check[] = [{ status: 'ok', name, detail: summary(seen) }];
  for (const device of hung)
    checks.push({ status: 'degraded', name, detail: `${device} does not answer: its firmware hangs` });
  if (refused > 0)
    checks.push({ status: 'degraded', name, detail: `${refused} ports are too many and not looked at` });
  return [...checks, ...counterChecks(ports)];
}

function summary({ ports, stats }: PortsSeen): string {
  const named = ports.slice(0, MAX_NAMED).map(({ device, port, state, rateGbps }) => {
    const rate = rateGbps === undefined ? '' : ` ${rateGbps} Gbit/s`;
    return `${device}/${port} ${state ?? 'unknown'}${rate}`;
  });
  const more = ports.length > MAX_NAMED ? `, and ${ports.length - MAX_NAMED} more` : '';
  const cost = stats.looks === 0 ? '' : `; a look takes ${(stats.spentMs / stats.looks).toFixed(1)} ms`;
  return `${named.join(', ')}${more}${cost}`;
}

function counterChecks(ports: readonly RdmaPort[]): readonly Check[] {
  const name = 'probe rdma/counters';
  const checks: Check[] = [];
  let files = 0;
  let known = 0;
  for (const { device, port, counters } of ports) {
    files += counters.size.files;
    known += counters.size.known;
    const at = `${device}/${port}`;
    if (counters.size.known === 0)
      checks.push({ status: 'degraded', name, detail: `${at} has no counter that tells of trouble` });
    const stopped = counters.stopped();
    if (stopped.length > 0) {
      const detail = `${at}: ${stopped.join(', ')} at the end and count no further until they are reset (perfquery -R)`;
      checks.push({ status: 'degraded', name, detail });
    }
    if (counters.lifespanMs > 1_000) {
      const detail = `counters of ${at} are up to ${counters.lifespanMs} ms old (hw_counters/lifespan)`;
      checks.push({ status: 'degraded', name, detail });
    }
    if (counters.refused > 0)
      checks.push({ status: 'degraded', name, detail: `${counters.refused} counters of ${at} are not read` });
  }
  return checks.length > 0 ? checks : [{ status: 'ok', name, detail: `${files} counters, ${known} known` }];
}
