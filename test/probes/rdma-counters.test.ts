/** What RDMA counters mean and how much they grew: drivers' own names, wraps, resets, windows. */
import { readlinkSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import t, { type Test } from 'tap';
import { RDMA_COUNTERS } from '../../src/events/rdma.js';
import { CONGESTION, HW_TABLES, meaningOf, TROUBLE } from '../../src/probes/rdma-counter-names.js';
import { CounterTrack } from '../../src/probes/rdma-counter-track.js';
import { type Growth, PortCounters } from '../../src/probes/rdma-counters.js';
import { parseCount, parsePhysState, parseRateGbps, parseState, Sysfs } from '../../src/probes/rdma-sysfs.js';
import { until } from '../lib/until.js';
import { type Counters, FakeSysfs } from './lib/rdma-sysfs.js';
import { fc } from '../lib/property.js';

/** `ls hw_counters` of a ConnectX-6 with 6.1, of Soft-RoCE, an E810, an EFA, a Kunpeng and a BCM575xx of 6.6 and of 6.18. */
const DRIVERS: Readonly<Record<string, string>> = {
  mlx5: `rx_write_requests rx_read_requests rx_atomic_requests rx_dct_connect out_of_buffer out_of_sequence
    duplicate_request rnr_nak_retry_err packet_seq_err implied_nak_seq_err local_ack_timeout_err resp_local_length_error
    resp_cqe_error req_cqe_error req_remote_invalid_request req_remote_access_errors resp_remote_access_errors
    resp_cqe_flush_error req_cqe_flush_error req_transport_retries_exceeded req_rnr_retries_exceeded roce_adp_retrans
    roce_adp_retrans_to roce_slow_restart roce_slow_restart_cnps roce_slow_restart_trans rp_cnp_ignored rp_cnp_handled
    np_ecn_marked_roce_packets np_cnp_sent rx_icrc_encapsulated lifespan`,
  rxe: `sent_pkts rcvd_pkts duplicate_request out_of_seq_request rcvd_rnr_err send_rnr_err rcvd_seq_err ack_deferred
    retry_exceeded_err retry_rnr_exceeded_err completer_retry_err send_err link_downed rdma_sends rdma_recvs lifespan`,
  irdma: `ip4InOctets ip4InPkts ip4InDiscards ip4InTruncatedPkts ip4OutOctets ip4OutPkts ip4OutNoRoutes ip6InOctets
    ip6InPkts ip6OutPkts tcpInSegs tcpOutSegs tcpRetransSegs iwInRdmaReads iwRdmaBnd cnpHandled cnpIgnored cnpSent RxUDP
    TxUDP RxECNMrkd lifespan`,
  efa: `tx_bytes tx_pkts rx_bytes rx_pkts rx_drops send_bytes send_wrs recv_bytes recv_wrs rdma_read_wrs rdma_read_bytes
    rdma_read_wr_err rdma_read_resp_bytes rdma_write_wr_err retrans_bytes retrans_pkts retrans_timeout_events
    unresponsive_remote_events impaired_remote_conn_events lifespan`,
  hns: 'rx_rc_pkt rx_pkt rx_err_pkt rx_cnp_pkt tx_rc_pkt tx_pkt tx_err_pkt tx_cnp_pkt aeqe ceqe lifespan',
  bnxt: `active_qps rx_pkts rx_bytes tx_pkts tx_bytes recoverable_errors rx_roce_errors rx_roce_discards to_retransmits
    seq_err_naks_rcvd max_retry_exceeded rnr_naks_rcvd missing_resp bad_resp_err local_qp_op_err remote_access_err dup_req
    oos_drop_count rx_out_of_buffer tx_cnp_pkts rx_cnp_pkts rx_ecn_marked_pkts lifespan`,
  bnxtNew: `active_qps local_ack_timeout_err packet_seq_err max_retry_exceeded rnr_nak_retry_err implied_nak_seq_err
    bad_resp_err local_qp_op_err req_cqe_error resp_cqe_error duplicate_request out_of_sequence out_of_buffer np_cnp_pkts
    rp_cnp_handled np_ecn_marked_roce_packets lifespan`,
};
const namesOf = (driver: string): string[] => (DRIVERS[driver] ?? '').split(/\s+/);

/** Meaning → names, of those that a driver has. */
function meanings(driver: string): Record<string, string[]> {
  const names = namesOf(driver);
  const found: Record<string, string[]> = {};
  for (const name of names) {
    const meaning = meaningOf('hw_counters', name, new Set(names));
    if (meaning !== undefined) found[meaning.counter] = [...(found[meaning.counter] ?? []), name];
  }
  return found;
}

t.test('what each driver calls it', async (t) => {
  t.match(meanings('mlx5'), {
    timeouts: ['local_ack_timeout_err', 'roce_adp_retrans_to'],
    sequenceErrors: ['packet_seq_err', 'implied_nak_seq_err'],
    rnrReceived: ['rnr_nak_retry_err'],
    rnrSent: ['out_of_buffer'],
    gaveUp: ['req_transport_retries_exceeded'],
    cnpHandled: ['rp_cnp_handled'],
  });
  t.strictSame(meanings('rxe'), {
    txPackets: ['sent_pkts'],
    rxPackets: ['rcvd_pkts'],
    duplicates: ['duplicate_request'],
    outOfOrder: ['out_of_seq_request'],
    rnrReceived: ['rcvd_rnr_err'],
    rnrSent: ['send_rnr_err'],
    sequenceErrors: ['rcvd_seq_err'],
    gaveUp: ['retry_exceeded_err'],
    rnrGaveUp: ['retry_rnr_exceeded_err'],
    retries: ['completer_retry_err'],
    discards: ['send_err'],
    linkDowned: ['link_downed'],
  });
  t.match(meanings('irdma'), { retries: ['tcpRetransSegs'], cnpSent: ['cnpSent'], ecnMarked: ['RxECNMrkd'] });
  t.match(meanings('efa'), { timeouts: ['retrans_timeout_events'], gaveUp: ['unresponsive_remote_events'] });
  t.match(meanings('hns'), { txPackets: ['tx_pkt'], cnpHandled: ['rx_cnp_pkt'] });
  const old = meanings('bnxt');
  t.match(old, { timeouts: ['to_retransmits'], failedCompletions: ['bad_resp_err', 'local_qp_op_err'] });
  t.notOk(Object.values(old).flat().includes('recoverable_errors'), 'it counts broadcasts');
  t.strictSame(
    meanings('bnxtNew').failedCompletions,
    ['req_cqe_error', 'resp_cqe_error'],
    'a sum is not added to',
  );
  t.match(meaningOf('hw_counters', 'vport_out_of_buffer', new Set()), { counter: 'rnrSent' });
  t.equal(meaningOf('counters', 'out_of_buffer', new Set()), undefined, 'another directory');
  t.match(meaningOf('counters', 'port_xmit_data', new Set()), { counter: 'txBytes', scale: 4 });
});

t.test('the tables do not contradict each other', async (t) => {
  const known = new Map<string, string>();
  for (const table of HW_TABLES) {
    const names = table.map(([name]) => name);
    t.equal(new Set(names).size, names.length, 'no name twice in one table');
    for (const [name, { counter }] of table) {
      t.equal(known.get(name) ?? counter, counter, name);
      known.set(name, counter);
    }
  }
  const traffic = ['flushedCompletions', 'txPackets', 'rxPackets', 'txBytes', 'rxBytes'];
  t.strictSame(
    [...TROUBLE, ...CONGESTION, ...traffic].sort(),
    [...RDMA_COUNTERS].sort(),
    'each is of one sort',
  );
});

t.test('a counter that wraps goes on', async (t) => {
  // All ones is not believed (below): what has come by then counts with the next one.
  const start = fc.integer({ min: 0, max: 2 ** 32 - 2 });
  const steps = fc.array(fc.integer({ min: 0, max: 2 ** 24 }), { maxLength: 50 });
  fc.assert(
    fc.property(start, steps, (first, grown) => {
      const track = new CounterTrack(32);
      track.next(first);
      let seen = 0;
      let sum = 0;
      for (const by of grown) {
        seen += by;
        const step = track.next((first + seen) % 2 ** 32);
        if (step.kind === 'nonsense') continue;
        sum += step.kind === 'grew' ? step.by : Number.NaN;
        if (sum !== seen || track.total !== first + seen) return false;
      }
      return true;
    }),
  );
  const wide = new CounterTrack(64);
  wide.next(2 ** 64 - 4096);
  t.strictSame(wide.next(1000), { kind: 'grew', by: 5096 });
  const wider = new CounterTrack(32);
  wider.next(2 ** 33);
  t.strictSame(wider.next(2 ** 33 + 5), { kind: 'grew', by: 5 }, 'another driver has it with 64 bits');
});

t.test('a counter that was set back begins anew, and its total never goes back', async (t) => {
  const track = new CounterTrack(32);
  t.strictSame(track.next(1000), { kind: 'first' });
  t.strictSame(track.next(1010), { kind: 'grew', by: 10 });
  t.strictSame(track.next(3), { kind: 'reset' });
  t.strictSame(track.next(5), { kind: 'grew', by: 2 });
  t.equal(track.total, 1012);
  t.strictSame(track.next(2 ** 32 - 1), { kind: 'nonsense' }, 'a device that has fallen off the bus');
  t.strictSame(track.next(6), { kind: 'grew', by: 1 }, 'and is back');
  fc.assert(
    fc.property(fc.array(fc.nat({ max: 2 ** 31 })), (levels) => {
      const one = new CounterTrack(64);
      let before = 0;
      for (const level of levels) {
        one.next(level);
        if (one.total < before) return false;
        before = one.total;
      }
      return true;
    }),
  );
});

t.test('text of all kinds', async (t) => {
  t.strictSame(
    ['0', '18446744073709551615', 'N/A (no PMA)', '-1', '1e9', '', '0x10', undefined].map(parseCount),
    [0, 2 ** 64, undefined, undefined, undefined, undefined, undefined, undefined],
  );
  t.strictSame(
    ['4: ACTIVE', '1: DOWN', '5: ACTIVE_DEFER', '9: UNKNOWN', '4: GONE', 'x', undefined].map(parseState),
    ['ACTIVE', 'DOWN', 'ACTIVE_DEFER', 'NOP', 'NOP', 'NOP', undefined],
  );
  t.strictSame(['5: LinkUp', '7: Phy Test', '9: \u001b[31m', ''].map(parsePhysState), [
    'LinkUp',
    'Phy Test',
    '\\x1b[31m',
    undefined,
  ]);
  t.strictSame(['400 Gb/sec (4X NDR)', '2.5 Gb/sec (1X SDR)', '-1 Gb/sec', undefined].map(parseRateGbps), [
    400,
    2.5,
    undefined,
    undefined,
  ]);
  fc.assert(
    fc.property(fc.string(), (text) => {
      parseState(text);
      parseRateGbps(text);
      const words = parsePhysState(text);
      return words === undefined || (words.length <= 256 && [...words].every((c) => c >= ' '));
    }),
  );
});

interface One {
  readonly sys: FakeSysfs;
  readonly counters: PortCounters;
  look(wanted?: { asked?: boolean; slow?: boolean; others?: boolean }): Promise<readonly Growth[]>;
}

function onePort(t: Test, hw: Counters, standard: Counters = {}): One {
  const sys = new FakeSysfs(t);
  sys.device('mlx5_0', { ports: [{ hw, standard }] });
  const counters = new PortCounters(new Sysfs(sys.dir), () => `${sys.dir}/class/infiniband/mlx5_0/ports/1`);
  t.teardown(() => counters.close());
  return {
    sys,
    counters,
    look: (wanted) => counters.look({ asked: false, slow: false, others: false, ...wanted }),
  };
}

t.test('trouble is told at once, with the window in which it came', async (t) => {
  const hw = { local_ack_timeout_err: 5, packet_seq_err: 1, implied_nak_seq_err: 1, np_cnp_sent: 10 };
  const { sys, look } = onePort(t, hw);
  t.strictSame(await look(), [], 'levels are from nobody knows when');
  t.strictSame(await look(), []);
  sys.hw('mlx5_0', { packet_seq_err: 3, implied_nak_seq_err: 2 });
  const [told, ...more] = await look();
  t.strictSame(more, []);
  t.match(told, { grew: { timeouts: 0, sequenceErrors: 3, cnpSent: 0 }, trouble: 3, reset: false });
  t.ok(told !== undefined && told.windowMs >= 1);
  t.strictSame(await look(), [], 'and not again');
});

t.test('congestion alone waits; before trouble it is told for itself', async (t) => {
  const { sys, look } = onePort(t, { np_cnp_sent: 10, local_ack_timeout_err: 0 });
  await look();
  sys.hw('mlx5_0', { np_cnp_sent: 12 });
  t.strictSame(await look(), []);
  sys.hw('mlx5_0', { local_ack_timeout_err: 1, np_cnp_sent: 13 });
  t.match(await look(), [
    { grew: { cnpSent: 2 }, trouble: 0, congestion: 2 },
    { grew: { cnpSent: 1, timeouts: 1 }, trouble: 1 },
  ]);
  sys.hw('mlx5_0', { np_cnp_sent: 20 });
  await look();
  t.match(await look({ asked: true }), [{ grew: { cnpSent: 7 }, congestion: 7 }], 'who asks is told');
  t.match(await look({ asked: true }), [{ grew: { cnpSent: 0, timeouts: 0 } }], 'of nothing, too');
});

t.test('the standard counters are read seldom, and told by their own window', async (t) => {
  const standard = { port_xmit_data: 100, symbol_error: 65_530, link_downed: 0, VL15_dropped: 3 };
  const { sys, counters, look } = onePort(t, { out_of_buffer: 0 }, standard);
  await look({ slow: true });
  sys.standard('mlx5_0', { port_xmit_data: 350, symbol_error: 65_535, link_downed: 1 });
  t.strictSame(await look(), []);
  t.match(await look({ slow: true }), [
    { grew: { txBytes: 1000, linkErrors: 5, linkDowned: 1 }, trouble: 6 },
  ]);
  t.strictSame(counters.stopped(), ['symbol_error'], 'it counts no further');
});

t.test('set back: said so, and nothing is made up', async (t) => {
  const { sys, look } = onePort(t, { local_ack_timeout_err: 500, out_of_buffer: 7 });
  await look();
  sys.hw('mlx5_0', { local_ack_timeout_err: 2, out_of_buffer: 8 });
  const [told] = await look();
  t.match(told, { reset: true, grew: { rnrSent: 1 }, trouble: 1 });
  t.notOk(told !== undefined && 'timeouts' in told.grew, 'not known');
});

t.test('a lifespan is kept: younger counters would be the same', async (t) => {
  const { sys, counters, look } = onePort(t, { lifespan: 10_000, out_of_buffer: 0 });
  await look({ slow: true });
  t.equal(counters.lifespanMs, 10_000);
  sys.hw('mlx5_0', { out_of_buffer: 5 });
  t.strictSame(await look(), []);
  sys.hw('mlx5_0', { lifespan: 0 });
  t.match(await look({ slow: true }), [{ trouble: 5 }], 'root has set it');
});

t.test('one question brings all counters for their lifespan; the rest is read from memory', async (t) => {
  const sys = new FakeSysfs(t);
  const hw = {
    out_of_buffer: 1,
    local_ack_timeout_err: 2,
    packet_seq_err: 3,
    rx_write_requests: 4,
    lifespan: 200,
  };
  sys.device('mlx5_0', { ports: [{ hw, standard: { symbol_error: 0 } }] });
  const plain = new Sysfs(sys.dir);
  const asked: string[] = [];
  const counting = new Sysfs(sys.dir, async (fd, into) => {
    asked.push(basename(readlinkSync(`/proc/self/fd/${fd}`)));
    return into.write((await plain.once(`/proc/self/fd/${fd}`)) ?? '', 'latin1');
  });
  const counters = new PortCounters(counting, () => `${sys.dir}/class/infiniband/mlx5_0/ports/1`);
  t.teardown(() => counters.close());
  await counters.look({ asked: false, slow: true, others: false });
  t.strictSame(
    asked.splice(0),
    ['lifespan', 'rx_write_requests', 'symbol_error'],
    'what mlx5 fetches all for, first',
  );
  sys.hw('mlx5_0', { packet_seq_err: 9 });
  const growths = await until(
    async () => {
      const told = await counters.look({ asked: false, slow: false, others: false });
      return told.length > 0 && told;
    },
    { timeoutMs: 10_000, what: 'the next lifespan' },
  );
  t.match(growths, [{ grew: { sequenceErrors: 6, timeouts: 0, rnrSent: 0 } }]);
  t.strictSame(asked.splice(0), ['rx_write_requests']);
  sys.hw('mlx5_0', { lifespan: 0 });
  await counters.look({ asked: false, slow: true, others: false });
  const each = ['lifespan', 'local_ack_timeout_err', 'out_of_buffer', 'packet_seq_err', 'symbol_error'];
  t.strictSame(asked.sort(), each, 'without a lifespan each is a question');
});

t.test('unknown names as they are; odd ones are left out and counted', async (t) => {
  const hw = { rx_write_requests: 12, 'Rx atomics': 3, active_qps: 9, out_of_buffer: 1, lifespan: 10 };
  const { sys, counters, look } = onePort(t, { ...hw, '\u001b[31m': 1, broken: 'N/A' }, { VL15_dropped: 4 });
  t.equal(counters.refused, 1);
  await look();
  t.strictSame(counters.totals().others, [], 'nobody wants them');
  const others = async (): Promise<Record<string, number>> => {
    await look({ slow: true, others: true });
    return Object.fromEntries(counters.totals().others.map(({ name, value }) => [name, value]));
  };
  const expected = { rx_write_requests: 12, 'Rx atomics': 3, active_qps: 9, VL15_dropped: 4 };
  t.strictSame(await others(), expected);
  sys.hw('mlx5_0', { active_qps: 2 });
  t.strictSame(await others(), { ...expected, active_qps: 2 }, 'a level that falls is no reset');
  t.equal(counters.totals().known.get('rnrSent'), 1);
  await others();
  t.strictSame(counters.size, { files: 5, known: 1 }, 'what never could be read is not asked for again');
});

t.test('half-written, empty and huge files', async (t) => {
  const { sys, look } = onePort(t, { out_of_buffer: 5 });
  await look();
  const path = `${sys.dir}/class/infiniband/mlx5_0/ports/1/hw_counters/out_of_buffer`;
  for (const text of ['', '\n', '7'.repeat(10_000), '\0\0\0', '99999999999999999999999']) {
    writeFileSync(path, text);
    t.strictSame(await look(), [], JSON.stringify(text.slice(0, 20)));
  }
  writeFileSync(path, '6\n');
  t.match(await look(), [{ grew: { rnrSent: 1 } }]);
});
