/** What is made of the kernel's records of queue pairs, without a kernel: names, addresses, the table of all. */
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import type { Event, EventOf } from '../../src/events/event.js';
import {
  XctlHdrLayout,
  XctlQpChange,
  XctlRdmaIdLayout,
  XctlRdmaQpLayout,
} from '../../src/kernel/abi.generated.js';
import type { LoadedObject } from '../../src/kernel/program.js';
import { RdmaModules, type RdmaObject } from '../../src/probes/rdma-modules.js';
import {
  ackTimeoutMs,
  asyncEventName,
  cmEventName,
  formatGid,
  qpStateName,
  qpTypeName,
} from '../../src/probes/rdma-names.js';
import { RdmaObjects } from '../../src/probes/rdma-objects.js';
import { RdmaQps } from '../../src/probes/rdma-qps.js';
import { idOf, qpChangeOf, type QpChange, type RdmaId } from '../../src/probes/rdma-records.js';
import { createLog } from '../../src/util/log.js';
import { fc } from '../lib/property.js';

type QpEvent = EventOf<'rdma.qp'>;

const OWNER = { pid: 100, start: 5, comm: 'trainer', netns: 7 };

function id(qpn: number, more: Partial<RdmaId> = {}): RdmaId {
  return { index: 3, device: 'mlx5_0', qpn, owner: OWNER, ...more };
}

function change(kind: QpChange['change'], more: Partial<QpChange> = {}): QpChange {
  return { change: kind, type: 'RC', exiting: false, connection: {}, ...more };
}

function table() {
  const events: QpEvent[] = [];
  const qps = new RdmaQps((event: Event) => {
    if (event.type === 'rdma.qp') events.push(event);
  });
  return { qps, events, last: () => events.at(-1) };
}

t.test('a queue pair from its creation to its end', async (t) => {
  const { qps, events, last } = table();
  qps.apply(1, id(9), change('create'));
  qps.apply(2, id(9, { port: 1 }), change('modify', { state: 'INIT' }));
  const remote = { local: '10.0.0.1', remote: '10.0.0.2', remoteQpn: 77 };
  qps.apply(3, id(9), change('modify', { state: 'RTR', connection: remote }));
  qps.apply(4, id(9), change('modify', { state: 'RTS', connection: { retryCnt: 7 } }));
  t.match(last(), {
    entity: 'qp:mlx5_0/9',
    pid: 100,
    attrs: {
      start: 5,
      comm: 'trainer',
      netns: 7,
      port: 1,
      state: 'RTS',
      ...remote,
      retryCnt: 7,
      generation: 1,
    },
  });
  qps.apply(5, id(9), change('modify', { errno: 'EINVAL' }));
  t.match(last()?.attrs, { state: 'RTS', errno: 'EINVAL' }, 'what is refused changes nothing');
  qps.apply(6, id(9), change('error'));
  qps.apply(7, id(9), change('error'));
  t.equal(events.filter(({ attrs }) => attrs.change === 'error').length, 1, 'told once');
  t.notOk(events.filter(({ attrs }) => attrs.errno !== undefined).length > 1);
  qps.apply(8, id(9), change('destroy', { exiting: true }));
  t.match(last()?.attrs, { state: 'DESTROYED', exiting: true, generation: 1 });
  t.equal(qps.size, 0);
  t.equal(qps.find(9, id(9))?.generation, 1, 'what comes late is of the one that has ended');
  qps.apply(10, id(9), change('create'));
  t.equal(last()?.attrs.generation, 2, 'its number is another’s');
  t.notOk(last()?.attrs.remote, 'which is not connected');
});

t.test('what was there before, and what nobody saw the beginning of', async (t) => {
  const { qps, events, last } = table();
  qps.apply(1, id(9), change('seen', { state: 'RTS', connection: { remoteQpn: 1 } }));
  t.match(last()?.attrs, { change: 'seen', state: 'RTS', remoteQpn: 1 });
  qps.apply(2, id(10), change('seen'));
  t.equal(last()?.attrs.state, 'UNKNOWN');
  qps.apply(3, id(11), change('modify', { state: 'ERR' }));
  t.match(last()?.attrs, { change: 'modify', state: 'ERR' });
  t.equal(
    qps.find(4, { index: 3, device: 'mlx5_0', qpn: 12 })?.state,
    'UNKNOWN',
    'a retry names one that is not known',
  );
  t.notOk(last()?.pid, 'the kernel’s own has no process');
  qps.apply(5, id(99), change('destroy'));
  t.equal(events.length, 4, 'nobody was told of that one');
  qps.apply(6, id(9), change('create'));
  t.same(
    events.slice(-2).map(({ attrs }) => attrs.change),
    ['destroy', 'create'],
    'its end was lost',
  );
});

t.test('RESET takes the connection away', async (t) => {
  const { qps, last } = table();
  qps.apply(1, id(9), change('seen', { state: 'RTS', connection: { remote: '10.0.0.2', remoteQpn: 1 } }));
  qps.apply(2, id(9), change('modify', { state: 'RESET' }));
  t.notOk(last()?.attrs.remote);
  t.notOk(last()?.attrs.remoteQpn);
});

t.test('devices that get another name, or go', async (t) => {
  const { qps, events, last } = table();
  qps.apply(1, id(9), change('seen', { state: 'RTS' }));
  qps.apply(1, id(9, { index: 4, device: 'mlx5_1' }), change('seen', { state: 'RTS' }));
  // The two swap their names; a record tells of the one, sysfs of the other.
  qps.apply(2, id(9, { device: 'mlx5_1' }), change('modify', { state: 'SQD' }));
  t.same(
    events.slice(2).map(({ entity, attrs }) => [entity, attrs.change, attrs.state]),
    [
      ['qp:mlx5_0/9', 'destroy', 'DESTROYED'],
      ['qp:mlx5_1/9', 'seen', 'RTS'],
      ['qp:mlx5_1/9', 'modify', 'SQD'],
    ],
  );
  t.equal(qps.size, 2);
  qps.apply(3, id(9, { index: 4, device: 'mlx5_0' }), change('modify', { state: 'RTS' }));
  t.equal(last()?.entity, 'qp:mlx5_0/9');
  qps.deviceRenamed(4, 'mlx5_0', 'roce0');
  t.match(last(), { entity: 'qp:roce0/9', attrs: { change: 'seen', state: 'RTS' } });
  qps.deviceGone(5, 'roce0');
  t.match(last(), { entity: 'qp:roce0/9', attrs: { change: 'destroy' } });
  t.equal(qps.size, 1);
  qps.clear(6);
  t.equal(qps.size, 0);
  t.match(last(), { entity: 'qp:mlx5_1/9', attrs: { change: 'destroy' } });
});

t.test('the table is bounded, and generations of a number never go back', async (t) => {
  const { qps, events } = table();
  for (let qpn = 1; qpn <= 16_384; qpn++) qps.apply(1, id(qpn), change('create'));
  qps.apply(2, id(20_000), change('create'));
  t.equal(qps.size, 16_384);
  t.equal(qps.stats.dropped, 1);
  t.notOk(events.some(({ attrs }) => attrs.qpn === 20_000));
  const kinds = ['create', 'modify', 'destroy', 'error', 'seen'] as const;
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.constantFrom(...kinds), fc.integer({ min: 1, max: 4 }))), (steps) => {
      const { qps, events } = table();
      for (const [ts, [kind, qpn]] of steps.entries()) qps.apply(ts, id(qpn), change(kind));
      const last = new Map<string, number>();
      for (const { entity, attrs } of events) {
        if ((last.get(entity) ?? 0) > attrs.generation) return false;
        last.set(entity, attrs.generation);
      }
      const alive = new Set<string>();
      for (const { entity, attrs } of events) {
        // Each has a beginning, and one end.
        if (attrs.change === 'destroy' && !alive.delete(entity)) return false;
        if (attrs.change !== 'destroy') alive.add(entity);
      }
      return alive.size === qps.size;
    }),
  );
});

t.test('names', async (t) => {
  t.equal(qpTypeName(2), 'RC');
  t.equal(qpTypeName(255), 'DRIVER');
  t.equal(qpTypeName(200), 'OTHER');
  t.equal(qpStateName(3), 'RTS');
  t.equal(qpStateName(6), 'ERR');
  t.equal(qpStateName(7), 'UNKNOWN', 'the kernel knows no such');
  t.equal(asyncEventName(10), 'PORT_ERR');
  t.equal(asyncEventName(99), 'EVENT_99');
  t.equal(cmEventName(7), 'UNREACHABLE');
  t.equal(cmEventName(16), 'EVENT_16');
  t.equal(ackTimeoutMs(14), 67.108864);
  t.equal(ackTimeoutMs(0), 0, 'for ever');
});

function gid(text: string): string | undefined {
  const bytes = Buffer.from(text, 'hex');
  return formatGid(new DataView(bytes.buffer, bytes.byteOffset, bytes.length), 0);
}

t.test('GIDs', async (t) => {
  t.equal(gid('00000000000000000000ffff0a000102'), '10.0.1.2');
  t.equal(gid('fe80000000000000506b4b0300fbd3a6'), 'fe80::506b:4b03:fb:d3a6');
  t.equal(gid('00000000000000000000000000000001'), '::1');
  t.equal(gid('00'.repeat(16)), undefined);
});

/** A record as the kernel writes it. */
function record(fields: { flags?: number; err?: number; device?: string; pid?: number }): DataView {
  const bytes = Buffer.alloc(XctlRdmaQpLayout.sizeBytes);
  const at = XctlHdrLayout.sizeBytes;
  bytes.writeUInt32LE(fields.pid ?? 0, XctlHdrLayout.pid);
  bytes.writeUInt32LE(0x123, at + XctlRdmaIdLayout.qpn);
  bytes.write(fields.device ?? 'rxe0', at + XctlRdmaIdLayout.device, 'latin1');
  bytes.writeUInt8(XctlQpChange.MODIFY, XctlRdmaQpLayout.change);
  bytes.writeUInt8(2, XctlRdmaQpLayout.type);
  bytes.writeUInt8(3, XctlRdmaQpLayout.state);
  bytes.writeUInt8(14, XctlRdmaQpLayout.timeout);
  bytes.writeUInt32LE(fields.flags ?? 0, XctlRdmaQpLayout.flags);
  bytes.writeInt32LE(fields.err ?? 0, XctlRdmaQpLayout.err);
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

t.test('records', async (t) => {
  t.same(qpChangeOf(record({ flags: 1 + 32 }), 0), {
    change: 'modify',
    type: 'RC',
    state: 'RTS',
    exiting: false,
    connection: { ackTimeoutMs: ackTimeoutMs(14) },
  });
  t.match(qpChangeOf(record({ err: -22 }), 0), { errno: 'EINVAL', state: undefined });
  t.match(qpChangeOf(record({ err: -517 }), 0), { errno: 'ERRNO_517' });
  t.same(idOf(record({}), 0), { index: 0, device: 'rxe0', qpn: 0x123 });
  t.equal(idOf(record({ device: 'a\x1b[31m\n' }), 0).device, 'a\\x1b[31m\\x0a', 'root may name it anything');
});

t.test('modules come, leave and come again', async (t) => {
  const sys = mkdtempSync(join(tmpdir(), 'xctl-rdma-'));
  t.teardown(() => rmSync(sys, { recursive: true, force: true }));
  const make = (path: string): void => void mkdirSync(join(sys, path), { recursive: true });
  const modules = new RdmaModules(sys);
  const loads: RdmaObject[] = [];
  const left: RdmaObject[] = [];
  let stopped = 0;
  let refuse = false;
  const kernel = {
    load: async (name: string): Promise<LoadedObject> => {
      if (refuse) throw new Error('no BTF');
      return {
        name,
        programs: [
          { object: name, slot: 'created', rung: 'kprobe', attached: true, reason: null, attempts: [] },
        ],
        map: () => t.fail(),
        iterator: () => undefined,
        programFd: () => undefined,
        attachUprobe: () => Promise.reject(new Error('no')),
        stop: () => stopped++,
      } as unknown as LoadedObject;
    },
  };
  const log = createLog('error', () => undefined);
  const objects = new RdmaObjects({ kernel, log }, modules, {
    loaded: (name) => loads.push(name),
    left: (name) => left.push(name),
  });
  await objects.turn();
  t.match(objects.checks()[0], { status: 'off', detail: /ib_core/ });
  make('class/infiniband');
  await objects.turn();
  t.same(loads, [], 'without ib_uverbs no program can use it');
  make('class/infiniband_verbs');
  await objects.turn();
  await objects.turn();
  t.same(loads, ['rdma'], 'once');
  t.match(objects.checks()[0], { status: 'ok', name: 'probe rdma' });
  make('module/rdma_rxe');
  await objects.turn();
  t.same(loads, ['rdma'], 'Soft-RoCE’s module may go as long as it has no device');
  make('class/infiniband/rxe0');
  writeFileSync(join(sys, 'class/infiniband/rxe0/parent'), 'eth0\n');
  await objects.turn();
  t.same(loads, ['rdma', 'rdma_rxe']);
  rmSync(join(sys, 'class/infiniband/rxe0'), { recursive: true });
  await objects.turn();
  t.same(left, ['rdma_rxe'], 'let go of with its last device');
  // Another of the same name, between two looks.
  make('class/other');
  renameSync(join(sys, 'class/infiniband_verbs'), join(sys, 'class/old'));
  renameSync(join(sys, 'class/other'), join(sys, 'class/infiniband_verbs'));
  refuse = true;
  await objects.turn();
  t.same(left, ['rdma_rxe', 'rdma']);
  t.match(objects.checks()[0], { status: 'failed', detail: 'no BTF' });
  refuse = false;
  await objects.turn();
  t.equal(objects.get('rdma'), undefined, 'not tried again until the modules are others');
  rmSync(join(sys, 'class/infiniband_verbs'), { recursive: true });
  await objects.turn();
  t.match(objects.checks()[0], { status: 'off' });
  make('class/misc/rdma_cm');
  await objects.turn();
  t.same(loads, ['rdma', 'rdma_rxe', 'rdma_cm']);
  objects.stop();
  t.equal(stopped, 3);
});
