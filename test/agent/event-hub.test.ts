import t from 'tap';
import { EventHub } from '../../src/agent/event-hub.js';
import type { Event } from '../../src/events/event.js';
import { StateGraph } from '../../src/graph/state-graph.js';
import { customEvent, keptLog } from './fixtures.js';

t.test('an event is counted, applied and given to everybody', async (t) => {
  const graph = new StateGraph();
  const hub = new EventHub(graph, keptLog().log);
  const seen: Event[] = [];
  const unsubscribe = hub.subscribe((event) => void seen.push(event));
  hub.sink(customEvent(1));
  unsubscribe();
  hub.sink(customEvent(2));
  t.strictSame(seen, [customEvent(1)]);
  t.equal(graph.now, customEvent(2).ts);
  t.equal(new Map(hub.totals).get('custom'), 2);
  t.equal(hub.failures, 0);
});

t.test('one that fails takes no other down, is counted, and does not flood the log', async (t) => {
  const { log, lines } = keptLog();
  const hub = new EventHub(new StateGraph(), log);
  let seen = 0;
  hub.subscribe(() => {
    throw new Error('broken');
  });
  hub.subscribe(() => seen++);
  for (let n = 0; n < 1000; n++) hub.sink(customEvent(n));
  t.equal(seen, 1000);
  t.equal(hub.failures, 1000);
  t.equal(lines.length, 10, 'the first of each power of two');
});
