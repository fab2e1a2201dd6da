import { isIPv6 } from 'node:net';
import t from 'tap';
import { XctlFlowLayout as F, XctlOwnerHow, XctlTcpLayout as T } from '../../src/kernel/abi.generated.js';
import { formatAddress } from '../../src/probes/address.js';
import { tcpAttrs } from '../../src/probes/flow-attrs.js';
import { FlowTable } from '../../src/probes/flow-table.js';
import { fc } from '../lib/property.js';

interface Tuple {
  readonly cookie?: number;
  readonly netns?: number;
  readonly lport?: number;
  readonly remote?: number;
}

/** A `struct xctl_tcp` of 10.0.0.1:lport to 10.0.0.remote:80. */
function record({ cookie = 1, netns = 7, lport = 4000, remote = 2 }: Tuple): DataView {
  const view = new DataView(new ArrayBuffer(T.sizeBytes));
  view.setBigUint64(T.flow + F.cookie, BigInt(cookie), true);
  view.setUint32(T.flow + F.netns, netns, true);
  view.setUint16(T.flow + F.family, 2, true);
  view.setUint16(T.flow + F.lport, lport, true);
  view.setUint16(T.flow + F.rport, 80, true);
  view.setUint32(T.flow + F.laddr, 0x0a000001);
  view.setUint32(T.flow + F.raddr, 0x0a000000 + remote);
  return view;
}

const idOf = (table: FlowTable, tuple: Tuple, tsMs = 0): string =>
  table.entry(record(tuple), T.flow, tsMs).id;

t.test('one id a flow, made once', async (t) => {
  const table = new FlowTable();
  const first = table.entry(record({}), T.flow, 0);
  t.equal(first.id, 'flow:10.0.0.1:4000-10.0.0.2:80');
  t.equal(table.entry(record({}), T.flow, 1), first);
  t.equal(table.size, 1);
});

t.test('the same addresses in another namespace', async (t) => {
  const table = new FlowTable();
  const plain = table.entry(record({}), T.flow, 0);
  t.equal(idOf(table, { cookie: 2, netns: 8 }), `${plain.id}@8`);
  t.equal(idOf(table, { cookie: 2, netns: 8 }), `${plain.id}@8`, 'and it keeps it');
  table.forget(plain);
  t.equal(idOf(table, { cookie: 2, netns: 8 }), `${plain.id}@8`, 'as long as it lives');
  t.equal(idOf(table, { cookie: 3, netns: 9 }), plain.id, 'the plain one is free again');
});

t.test('a record without cookie finds the flow by its addresses', async (t) => {
  const table = new FlowTable();
  const without = table.entry(record({ cookie: 0 }), T.flow, 0);
  const named = table.entry(record({ cookie: 5 }), T.flow, 0);
  t.equal(named, without);
  t.equal(table.entry(record({ cookie: 0 }), T.flow, 0), named);
  table.forget(named);
  t.equal(table.size, 0);
});

t.test('a socket that connects again elsewhere, and a port that is used again', async (t) => {
  const table = new FlowTable();
  idOf(table, { cookie: 1 });
  t.equal(idOf(table, { cookie: 1, remote: 3 }), 'flow:10.0.0.1:4000-10.0.0.3:80');
  t.equal(table.size, 1);
  t.equal(idOf(table, { cookie: 2, remote: 3 }), 'flow:10.0.0.1:4000-10.0.0.3:80');
  t.equal(table.size, 1);
});

t.test('it is bounded, and forgets what is silent', async (t) => {
  const table = new FlowTable({ maxFlows: 100, idleMs: 1000 });
  for (let i = 0; i < 10_000; i++) idOf(table, { cookie: i + 1, lport: i }, i / 1000);
  t.ok(table.size <= 100, `${table.size} flows`);
  idOf(table, { cookie: 20_000 }, 100_000);
  t.equal(table.size, 1);
});

t.test('owners: last only where it is proven', async (t) => {
  const table = new FlowTable();
  const view = record({});
  const owner = (how: number, shared = 0, kernel = 0) => {
    view.setUint32(T.owner + 16, 40, true);
    view.setUint32(T.owner + 20, 41, true);
    view.setUint8(T.owner + 24, XctlOwnerHow.ACCEPT);
    view.setUint8(T.owner + 25, how);
    view.setUint8(T.owner + 26, shared);
    view.setUint8(T.owner + 27, kernel);
    return tcpAttrs(table.entry(view, T.flow, 0), view, 0).owner;
  };
  t.match(owner(XctlOwnerHow.SEND), { created: { pid: 40, how: 'accept' }, last: { pid: 41, how: 'send' } });
  t.equal(owner(XctlOwnerHow.SEND), owner(XctlOwnerHow.SEND), 'decoded once');
  for (const how of [XctlOwnerHow.CONNECT, XctlOwnerHow.ITER]) t.equal(owner(how).last?.pid, 41);
  for (const how of [XctlOwnerHow.NONE, XctlOwnerHow.ACCEPT, XctlOwnerHow.LISTENER, 99]) {
    t.equal(owner(how).last, undefined);
  }
  t.match(owner(XctlOwnerHow.ITER, 1), { shared: true, last: undefined });
  t.match(owner(XctlOwnerHow.SEND, 0, 1), { kernel: true, last: undefined });
});

t.test('IPv6 as RFC 5952 writes it', async (t) => {
  const text = (groups: readonly number[]): string => {
    const view = new DataView(new ArrayBuffer(16));
    groups.forEach((group, i) => {
      view.setUint16(i * 2, group);
    });
    return formatAddress(view, 0, false);
  };
  t.equal(text([0, 0, 0, 0, 0, 0, 0, 0]), '::');
  t.equal(text([0, 0, 0, 0, 0, 0, 0, 1]), '::1');
  t.equal(text([0x2001, 0xdb8, 0, 0, 1, 0, 0, 1]), '2001:db8::1:0:0:1');
  t.equal(text([0x2001, 0xdb8, 0, 1, 1, 1, 1, 1]), '2001:db8:0:1:1:1:1:1');
  t.equal(text([0xfe80, 0, 0, 0, 0, 0, 0, 0]), 'fe80::');
  const group = fc.oneof(fc.constant(0), fc.nat(0xffff));
  fc.assert(
    fc.property(fc.array(group, { minLength: 8, maxLength: 8 }), (groups) => {
      const written = text(groups);
      return isIPv6(written) && new URL(`http://[${written}]/`).hostname === `[${written}]`;
    }),
  );
});
