/**
 * All 172 codes by both ways that they come: a line of the kernel log through probe `kmsg`, and an event of NVML through
 * probe `gpu` over the double. Each is heard by each probe, and counts as one fault.
 */
import t from 'tap';
import type { Event, EventOf } from '../../src/events/event.js';
import { gpuFault } from '../../src/probes/kmsg-rules-gpu.js';
import { xid, XID_CODES } from '../../src/xid/catalogue.js';
import { Once } from '../../src/xid/once.js';
import { until } from '../lib/until.js';
import { gpuRig } from '../nvml/rig.js';
import { printed, says } from '../xid/driver.js';
import { Script, scripted } from './lib/kmsg.js';

const CODES = 172;
const XID = 8;
const GPU = 3;
/** As the driver prints that GPU's address, and as it is called after. */
const PRINTED = 'PCI:0000:4B:00';
const PCI = '0000:4b:00.0';

const ofType = <T extends Event['type']>(events: readonly Event[], type: T): EventOf<T>[] =>
  events.filter((e): e is Event & EventOf<T> => e.type === type);

t.test('each code as a line and as an event: 172 of 172, one fault each', async (t) => {
  t.equal(XID_CODES.length, CODES);
  const rig = await gpuRig(t, { gpus: 4 });
  await rig.event('gpu.use', (e) => e.entity === `gpu:${GPU}`);
  const script = new Script();
  const log = await scripted(t, script);
  for (const code of XID_CODES) script.line(printed({ pci: PRINTED, code, message: says(code), pid: 4242 }));
  await until(() => log.probe.pass(), { timeoutMs: 20_000, what: 'the end of the log' });
  const lines = ofType(log.events, 'error.xid');
  rig.scenario.change({ events: XID_CODES.map((code, i) => [i + 1, GPU, XID, code]) });
  await until(() => rig.probe.heard >= CODES, { timeoutMs: 20_000, what: 'all events' });
  const events = rig.all('gpu.event');
  const { pci } = (await rig.event('gpu.device', (e) => e.entity === `gpu:${GPU}`)).attrs;
  t.equal(pci, PCI, 'one name for the GPU');

  const heard = { lines: 0, events: 0, faults: 0 };
  const once = new Once();
  for (const code of XID_CODES) {
    const line = lines.find(({ attrs }) => attrs.code === code);
    const event = events.find(({ attrs }) => attrs.xid === code);
    if (line !== undefined && line.entity === `gpu:${PCI}` && line.attrs.pci === PCI && line.pid === 4242)
      heard.lines++;
    else t.fail(`no line of ${code}`);
    if (event !== undefined && event.entity === `gpu:${GPU}` && event.value === code) heard.events++;
    else t.fail(`no event of ${code}`);
    if (xid(code).class === 'unknown') t.fail(`no meaning of ${code}`);
    for (const [source, ts] of [
      ['line', line?.ts],
      ['nvml', event?.ts],
    ] as const)
      heard.faults += once.tell({ source, gpu: PCI, code, ts: ts ?? 0 });
  }
  t.same(heard, { lines: CODES, events: CODES, faults: CODES });
  t.same([lines.length, events.length], [CODES, CODES], 'and no other');
});

t.test('each code, its line cut at every byte: the same fault or none', async (t) => {
  let cuts = 0;
  for (const code of XID_CODES)
    for (const old of [false, true]) {
      const text = printed({ code, message: says(code), old, gi: code % 7, ci: 0, causedBy: 149 });
      const whole = gpuFault(text);
      if (whole?.type !== 'error.xid') throw new Error(text);
      for (let length = 0; length < text.length; length++) {
        const part = gpuFault(text.slice(0, length));
        cuts++;
        if (part === undefined) continue;
        const same = part.type === 'error.xid' && part.entity === whole.entity && part.attrs.code === code;
        if (!same || part.pid !== undefined)
          throw new Error(`${text.slice(0, length)}: ${JSON.stringify(part)}`);
      }
    }
  t.ok(cuts > 2 * CODES * 50, `${cuts} lines`);
});
