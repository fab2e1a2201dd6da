/**
 * Counters of RDMA ports: those with a known meaning under one name whatever the driver calls them, all others as the
 * driver has them. A node has a few devices; the agent looks at 64 ports and 256 files of each directory at most.
 */
import type { RdmaCounter } from '../events/rdma.js';
import type { Definition, Labels, Series } from './definition.js';
import type { MetricSources, RdmaPortTotals } from './sources.js';

/** Told by direction, as traffic is. */
const TRAFFIC = {
  packets: { tx: 'txPackets', rx: 'rxPackets' },
  bytes: { tx: 'txBytes', rx: 'rxBytes' },
} as const;
const IS_TRAFFIC: ReadonlySet<RdmaCounter> = new Set<RdmaCounter>(
  Object.values(TRAFFIC).flatMap(({ tx, rx }) => [tx, rx]),
);

export function ofRdma(sources: MetricSources): readonly Definition[] {
  const labels = ['device', 'port'];
  const each = (of: (totals: RdmaPortTotals, at: Labels) => Series) => (): Series => perPort(sources, of);
  return [
    {
      name: 'xctl_rdma_port_up',
      help: 'Whether an RDMA port is ACTIVE.',
      labels,
      read: each(({ up }, at) => [[at, up ? 1 : 0]]),
    },
    {
      name: 'xctl_rdma_port_flaps_total',
      help: 'Times that the link of an RDMA port went down, seen by the agent.',
      labels,
      read: each(({ flaps }, at) => [[at, flaps]]),
    },
    {
      name: 'xctl_rdma_counter_total',
      help: 'What an RDMA port has counted, by what it means; docs/rdma.md has the names of each driver.',
      labels: [...labels, 'counter'],
      read: each(({ known }, at) =>
        [...known]
          .filter(([counter]) => !IS_TRAFFIC.has(counter))
          .map(([counter, value]) => [{ ...at, counter: snakeCase(counter) }, value]),
      ),
    },
    ...(['packets', 'bytes'] as const).map(
      (unit): Definition => ({
        name: `xctl_rdma_${unit}_total`,
        help: `RDMA ${unit} of a port, where its driver counts them.`,
        labels: [...labels, 'direction'],
        read: each(({ known }, at) =>
          (['tx', 'rx'] as const).flatMap((direction) => {
            const value = known.get(TRAFFIC[unit][direction]);
            return value === undefined ? [] : [[{ ...at, direction }, value] as const];
          }),
        ),
      }),
    ),
    {
      name: 'xctl_rdma_driver_counter',
      help: 'Counters whose meaning the agent does not know, as the driver has them; some are levels.',
      labels: [...labels, 'directory', 'counter'],
      read: each(({ others }, at) =>
        others.map(({ directory, name, value }) => [{ ...at, directory, counter: name }, value]),
      ),
    },
    {
      name: 'xctl_rdma_looks_total',
      help: 'Looks at all RDMA ports.',
      labels: [],
      read: () => [[{}, sources.rdma().looks]],
    },
    {
      name: 'xctl_rdma_look_seconds_total',
      help: 'Time that looks at RDMA ports took, most of it waiting for the firmware.',
      labels: [],
      read: () => [[{}, sources.rdma().spentSeconds]],
    },
  ];
}

function* perPort(sources: MetricSources, of: (totals: RdmaPortTotals, at: Labels) => Series): Series {
  for (const totals of sources.rdma().ports)
    yield* of(totals, { device: totals.device, port: `${totals.port}` });
}

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
