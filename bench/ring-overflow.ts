/**
 * A ring made to overflow: a producer in its own process at full speed, a reader that is too slow on
 * purpose, both rings. Bar: every record is either read or counted as lost, to the last one.
 */
import { createLog } from '../src/util/log.js';
import { report } from './lib/report.js';
import { openProducer } from './producer/producer.js';

const SECONDS = 3;
const PAUSE_MS = 20;

const { kernel, producer } = await openProducer({ log: createLog('warn') });
try {
  const runs = [
    producer.start({ seconds: SECONDS, flows: 1000, shape: 'tcp' }),
    producer.start({ seconds: SECONDS, shape: 'critical' }),
  ];
  let running = true;
  let read = 0;
  const done = Promise.all(runs.map((run) => run.done)).finally(() => {
    running = false;
  });
  const count = (): void => {
    read++;
  };
  const drain = (): void => {
    kernel.critical.drain(() => count());
    kernel.events.drain(() => count());
  };
  while (running) {
    drain();
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
  const totals = await done;
  drain();
  const submitted = totals.reduce((sum, t) => sum + t.submitted, 0);
  const refused = totals.reduce((sum, t) => sum + t.refused, 0);
  const lost = kernel.lost();
  const counted = (lost.events_full ?? 0) + (lost.critical_full ?? 0);
  const unaccounted = submitted + refused - read - counted;
  const ok = unaccounted === 0 && counted > 0 && read === submitted;
  report({
    name: 'ring overflow, produced - consumed - counted as lost',
    asked: '= 0',
    measured: unaccounted,
    unit: 'records',
    ok,
    produced: submitted + refused,
    consumed: read,
    lost: counted,
  });
  if (!ok) process.exitCode = 1;
} finally {
  kernel.stop();
}
