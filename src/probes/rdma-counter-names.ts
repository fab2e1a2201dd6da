/**
 * What the counters of RDMA drivers mean, by the names of their files in /sys/class/infiniband: `hw_counters/` has each
 * driver's own names, `counters/` those of the InfiniBand specification. Read off the drivers' sources; docs/rdma.md has
 * them as a table. One map for all: no name means two things, drivers take over each other's names (bnxt_re has
 * taken mlx5's), and a driver from elsewhere is read as well as it can be. A name that is not here is only exported.
 */
import type { RdmaCounter } from '../events/rdma.js';

export interface CounterMeaning {
  readonly counter: RdmaCounter;
  /** It begins anew after 2^bits - 1. */
  readonly bits: 32 | 64;
  /** It stops here instead, until somebody sets it back: more is not known to have happened. */
  readonly stopsAt?: number;
  /** What one count stands for. */
  readonly scale: number;
  /** It counts nothing of its own where this one is, too: that one is a sum of several. */
  readonly unless?: string;
}

type Names = Readonly<Partial<Record<RdmaCounter, readonly string[]>>>;

/** Queue counters are 32 bits wide in the device, those of congestion and of the port 64 (mlx5/counters.c). */
const MLX5_QUEUE: Names = {
  // With adaptive retransmission one timeout may be in both: that they grow is what matters.
  timeouts: ['local_ack_timeout_err', 'roce_adp_retrans_to'],
  sequenceErrors: ['packet_seq_err', 'implied_nak_seq_err'],
  retries: ['roce_adp_retrans'],
  outOfOrder: ['out_of_sequence'],
  duplicates: ['duplicate_request'],
  rnrReceived: ['rnr_nak_retry_err'],
  rnrSent: ['out_of_buffer'],
  gaveUp: ['req_transport_retries_exceeded'],
  rnrGaveUp: ['req_rnr_retries_exceeded'],
  failedCompletions: ['req_cqe_error', 'resp_cqe_error'],
  flushedCompletions: ['req_cqe_flush_error', 'resp_cqe_flush_error'],
  remoteErrors: ['req_remote_invalid_request', 'req_remote_access_errors'],
};
const MLX5: Names = {
  cnpSent: ['np_cnp_sent'],
  cnpHandled: ['rp_cnp_handled'],
  ecnMarked: ['np_ecn_marked_roce_packets'],
  linkErrors: ['rx_icrc_encapsulated'],
};

const RXE: Names = {
  retries: ['completer_retry_err'],
  sequenceErrors: ['rcvd_seq_err'],
  outOfOrder: ['out_of_seq_request'],
  duplicates: ['duplicate_request'],
  rnrReceived: ['rcvd_rnr_err'],
  rnrSent: ['send_rnr_err'],
  gaveUp: ['retry_exceeded_err'],
  rnrGaveUp: ['retry_rnr_exceeded_err'],
  discards: ['send_err'],
  linkDowned: ['link_downed'],
  txPackets: ['sent_pkts'],
  rxPackets: ['rcvd_pkts'],
};

/** Names of three generations; the youngest have spaces. The driver adds up what the hardware counts in 24 to 56 bits. */
const IRDMA: Names = {
  timeouts: ['RTO'],
  retries: ['tcpRetransSegs', 'RetransSegs'],
  sequenceErrors: ['Nak Sequence Error', 'Nak Sequence Error Implied'],
  outOfOrder: ['Rcvd Out of order packets'],
  rnrReceived: ['RNR received'],
  rnrSent: ['RNR sent'],
  cnpSent: ['cnpSent'],
  cnpHandled: ['cnpHandled'],
  ecnMarked: ['RxECNMrkd'],
  discards: ['ip4InDiscards', 'ip6InDiscards', 'ip4InTruncatedPkts', 'ip6InTruncatedPkts'],
  linkErrors: ['CRC errors'],
  txPackets: ['ip4OutPkts', 'ip6OutPkts'],
  rxPackets: ['ip4InPkts', 'ip6InPkts'],
  txBytes: ['ip4OutOctets', 'ip6OutOctets'],
  rxBytes: ['ip4InOctets', 'ip6InOctets'],
};

/** Reliability is the device's own (SRD): a timeout makes it take another path. */
const EFA: Names = {
  timeouts: ['retrans_timeout_events'],
  retries: ['retrans_pkts'],
  gaveUp: ['unresponsive_remote_events'],
  failedCompletions: ['rdma_read_wr_err', 'rdma_write_wr_err'],
  discards: ['rx_drops'],
  txPackets: ['tx_pkts'],
  rxPackets: ['rx_pkts'],
  txBytes: ['tx_bytes'],
  rxBytes: ['rx_bytes'],
};

const HNS: Names = {
  cnpSent: ['tx_cnp_pkt'],
  cnpHandled: ['rx_cnp_pkt'],
  discards: ['rx_err_pkt', 'tx_err_pkt'],
  txPackets: ['tx_pkt'],
  rxPackets: ['rx_pkt'],
};

/** `recoverable_errors` is left out: it holds the number of broadcast packets sent (bnxt_re/hw_counters.c). */
const BNXT: Names = {
  timeouts: ['to_retransmits'],
  sequenceErrors: ['seq_err_naks_rcvd', 'missing_resp'],
  outOfOrder: ['oos_drop_count'],
  duplicates: ['dup_req', 'dup_reqs'],
  rnrReceived: ['rnr_naks_rcvd'],
  rnrSent: ['rx_out_of_buffer'],
  gaveUp: ['max_retry_exceeded'],
  cnpSent: ['tx_cnp_pkts', 'np_cnp_pkts'],
  cnpHandled: ['rx_cnp_pkts'],
  ecnMarked: ['rx_ecn_marked_pkts'],
  linkErrors: ['rx_roce_errors'],
  discards: ['rx_roce_discards', 'tx_roce_discards'],
};
/** Each for itself in older drivers; newer ones have their sum, too, under mlx5's name. */
const BNXT_IN_SUM: Names = {
  failedCompletions: ['bad_resp_err', 'local_qp_op_err', 'local_protection_err', 'mem_mgmt_op_err'],
  remoteErrors: ['remote_invalid_req_err', 'remote_access_err', 'remote_op_err'],
};

/** ConnectX-3. */
const MLX4: Names = {
  timeouts: ['sq_num_to'],
  sequenceErrors: ['sq_num_oos'],
  outOfOrder: ['rq_num_oos'],
  duplicates: ['rq_num_dup'],
  rnrReceived: ['sq_num_rnr'],
  rnrSent: ['rq_num_rnr'],
  gaveUp: ['sq_num_tree'],
  rnrGaveUp: ['sq_num_rree'],
  flushedCompletions: ['sq_num_wrfe', 'rq_num_wrfe'],
  remoteErrors: ['sq_num_rire', 'sq_num_rae', 'sq_num_roe'],
};

const MANA: Names = {
  timeouts: ['requester_timeout'],
  sequenceErrors: ['requester_oos_nak', 'requester_implicit_nak'],
  outOfOrder: ['responder_oos'],
  duplicates: ['responder_dup_request'],
  rnrReceived: ['requester_rnr_nak'],
  rnrSent: ['responder_rnr_nak'],
  gaveUp: ['requester_retries_exceeded'],
  rnrGaveUp: ['requester_rnr_nak_retries_exceeded'],
  remoteErrors: ['nak_inv_req', 'nak_access_error', 'nak_opp_error', 'nak_inv_read'],
  cnpHandled: ['received_cnps'],
  txPackets: ['tx_packets'],
  rxPackets: ['rx_packets'],
};

/** `counters/`: those of errors are 4, 8 or 16 bits wide and stop at their end (InfiniBand specification, PortCounters). */
const STANDARD_16: Names = {
  linkErrors: ['symbol_error', 'port_rcv_errors'],
  discards: ['port_xmit_discards', 'port_rcv_remote_physical_errors'],
};
const STANDARD_8: Names = { linkErrors: ['link_error_recovery'], linkDowned: ['link_downed'] };
const STANDARD_4: Names = { linkErrors: ['local_link_integrity_errors', 'excessive_buffer_overrun_errors'] };
const STANDARD: Names = {
  xmitWait: ['port_xmit_wait'],
  txPackets: ['port_xmit_packets'],
  rxPackets: ['port_rcv_packets'],
};
const STANDARD_WORDS: Names = { txBytes: ['port_xmit_data'], rxBytes: ['port_rcv_data'] };
/** `port_xmit_data` and `port_rcv_data` count 32-bit words. */
const WORD_BYTES = 4;

const VPORT = 'vport_';

function* entries(
  names: Names,
  rest: Partial<Omit<CounterMeaning, 'counter'>> = {},
): Generator<readonly [string, CounterMeaning]> {
  for (const [counter, list] of Object.entries(names) as [RdmaCounter, readonly string[]][])
    for (const name of list) yield [name, { counter, bits: 64, scale: 1, ...rest }];
}

/** By the directory that the file is in, as one name can be in both (`link_downed`). */
export const COUNTER_DIRECTORIES = ['hw_counters', 'counters'] as const;
export type CounterDirectory = (typeof COUNTER_DIRECTORIES)[number];

/** Each vendor's table alone, for the test that they do not contradict each other. */
export const HW_TABLES: readonly (readonly (readonly [string, CounterMeaning])[])[] = [
  [...entries(MLX5_QUEUE, { bits: 32 }), ...entries(MLX5)],
  [...entries(RXE)],
  [...entries(IRDMA)],
  [...entries(EFA)],
  [...entries(HNS)],
  [...entries(BNXT), ...entries(BNXT_IN_SUM, { unless: 'req_cqe_error' })],
  [...entries(MLX4, { bits: 32 })],
  [...entries(MANA)],
];

// The first table that has a name wins: mlx5's widths hold where others share its names.
const HW: ReadonlyMap<string, CounterMeaning> = new Map(HW_TABLES.toReversed().flat());
const PORT: ReadonlyMap<string, CounterMeaning> = new Map([
  ...entries(STANDARD_16, { stopsAt: 0xffff }),
  ...entries(STANDARD_8, { stopsAt: 0xff }),
  ...entries(STANDARD_4, { stopsAt: 0xf }),
  ...entries(STANDARD),
  ...entries(STANDARD_WORDS, { scale: WORD_BYTES }),
]);

/** @param siblings names of all files of that directory */
export function meaningOf(
  directory: CounterDirectory,
  name: string,
  siblings: ReadonlySet<string>,
): CounterMeaning | undefined {
  if (directory === 'counters') return PORT.get(name);
  // Representors of mlx5 have the same counters under longer names.
  const plain = name.startsWith(VPORT) ? name.slice(VPORT.length) : name;
  const meaning = HW.get(plain);
  return meaning?.unless !== undefined && siblings.has(meaning.unless) ? undefined : meaning;
}

/** Not a counter at all: how old the counters may be, ms. */
export const LIFESPAN = 'lifespan';

/**
 * Counters that make the kernel fetch all others of their directory, too, when they are read. Of most drivers each does;
 * mlx5 fetches everything for its first alone, and else asks the card anew for each (mlx5_ib_get_hw_stats, 5.16).
 */
export const LEADERS: readonly string[] = ['rx_write_requests', 'vport_rx_write_requests'];

/** Those that tell of trouble: something was lost, sent again, refused or given up. */
export const TROUBLE: ReadonlySet<RdmaCounter> = new Set<RdmaCounter>([
  'timeouts',
  'sequenceErrors',
  'retries',
  'outOfOrder',
  'duplicates',
  'rnrReceived',
  'rnrSent',
  'gaveUp',
  'rnrGaveUp',
  'failedCompletions',
  'remoteErrors',
  'linkErrors',
  'discards',
  'linkDowned',
]);

/** Every day's business of a busy fabric: told of now and then, and when somebody asks. */
export const CONGESTION: ReadonlySet<RdmaCounter> = new Set<RdmaCounter>([
  'cnpSent',
  'cnpHandled',
  'ecnMarked',
  'xmitWait',
]);
