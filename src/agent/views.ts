/** The graph as lists: for `xctl ps` and `xctl graph`. */
import type { GraphEdge, GraphNode as NodeView, ProcessRow } from '../api/contract.js';
import type { GraphNode, ProcessNode } from '../graph/model.js';
import type { StateGraph } from '../graph/state-graph.js';
import { timeText } from '../scene/evidence.js';
import { waitedMs } from '../scene/finding.js';
import { waitNote } from '../scene/words.js';

type Attrs = Record<string, string | number | boolean | null>;

/** Living processes, and those that ended badly a short while ago; by pid. */
export function processList(graph: StateGraph): readonly ProcessRow[] {
  const rows: ProcessRow[] = [];
  for (const node of graph.nodes.values()) if (node.type === 'process') rows.push(processRow(node));
  return rows.sort((a, b) => a.pid - b.pid);
}

function processRow(process: ProcessNode): ProcessRow {
  const main = process.threads.get(process.pid);
  const base = {
    pid: process.pid,
    ppid: process.ppid,
    comm: process.comm,
    threads: process.exit === undefined ? Math.max(process.threadCount, 1) : 0,
    job: process.job === undefined ? null : (process.job.id ?? process.job.launcher ?? process.job.because),
    rank: process.job?.rank ?? null,
    container: process.containerId ?? null,
  };
  if (process.exit !== undefined) {
    const { signal, code } = process.exit.attrs;
    return {
      ...base,
      waitsFor: signal === undefined ? `exited with ${code ?? 0}` : `killed by ${signal}`,
      sinceMs: null,
      state: 'exited',
    };
  }
  if (main === undefined) return { ...base, waitsFor: 'not sampled yet', sinceMs: null, state: 'running' };
  if (main.wait.type === 'wait.run') return { ...base, waitsFor: 'running', sinceMs: null, state: 'running' };
  const to = main.edges[0]?.to.id;
  const waitsFor =
    to === undefined || to === process.id ? waitNote(main) : `${to} (${main.wait.type.slice(5)})`;
  return { ...base, waitsFor, sinceMs: Math.round(waitedMs(main)), state: 'running' };
}

/** Nodes that an edge touches, and processes; a lone flow that nobody waits for says nothing. */
export function graphView(graph: StateGraph): {
  readonly nodes: readonly NodeView[];
  readonly edges: readonly GraphEdge[];
} {
  const nodes: NodeView[] = [];
  const edges: GraphEdge[] = [];
  for (const node of graph.nodes.values()) {
    if (node.out.length === 0 && node.in.length === 0 && node.type !== 'process') continue;
    nodes.push({ id: node.id, type: node.type, attrs: attrsOf(node) });
    for (const edge of node.out) {
      edges.push({ kind: edge.kind, from: edge.from.id, to: edge.to.id, since: timeText(edge.since) });
    }
  }
  return { nodes, edges };
}

function attrsOf(node: GraphNode): Attrs {
  switch (node.type) {
    case 'process':
      return {
        comm: node.comm,
        ppid: node.ppid,
        threads: node.threadCount,
        state: node.exit === undefined ? 'running' : 'exited',
        cpuShare: Math.round(node.cpuShare * 1_000) / 1_000,
        ...(node.cgroup !== undefined && { cgroup: node.cgroup }),
        ...(node.containerId !== undefined && { containerId: node.containerId }),
        ...(node.podUid !== undefined && { podUid: node.podUid }),
        ...(node.job?.rank !== undefined && { rank: node.job.rank }),
      };
    case 'flow':
      return {
        state: node.attrs?.state ?? null,
        trouble: node.trouble?.kind ?? null,
        unackedBytes: node.attrs?.unackedBytes ?? null,
        backoff: node.attrs?.backoff ?? null,
        retransmits: node.attrs?.retransmits ?? null,
        srttUs: node.attrs?.srttUs ?? null,
      };
    case 'peer':
      return { address: node.address };
    case 'block-device':
      return {
        kind: node.device?.kind ?? null,
        gone: node.goneTs !== undefined,
        inFlight: node.use?.attrs.inFlight ?? null,
        oldestMs: node.use?.fact.value ?? null,
        errors: node.ioError?.count ?? 0,
      };
    case 'filesystem':
      return {
        fsType: node.mount?.fsType ?? null,
        readOnly: node.mount?.readOnly ?? null,
        usedPercent: node.space?.fact.value ?? null,
        server: node.mount?.server ?? null,
        gone: node.goneTs !== undefined,
      };
    case 'cgroup':
      return {
        throttledMs: node.throttle?.fact.value ?? null,
        memoryBytes: node.memory?.attrs.usageBytes ?? null,
        memoryLimitBytes: node.memory?.attrs.limitBytes ?? null,
      };
    case 'gpu':
      return {
        name: node.device?.attrs.name ?? null,
        state: node.state?.attrs.state ?? null,
        usedPercent: node.use?.attrs.gpuPercent ?? null,
        memoryBytes: node.use?.attrs.usedBytes ?? null,
        xid: node.xids.at(-1)?.code ?? null,
      };
    case 'rdma-port':
      return {
        state: node.down?.state ?? node.port?.attrs.state ?? null,
        netdev: node.port?.attrs.netdev ?? null,
        driver: node.port?.attrs.driver ?? null,
        rateGbps: node.port?.attrs.rateGbps ?? null,
        falls: node.falls.length,
      };
    case 'qp': {
      const { attrs, run, failure, gone } = node.life;
      return {
        state: gone === undefined ? (attrs.state ?? null) : 'DESTROYED',
        type: attrs.type ?? null,
        remote: attrs.remote ?? null,
        remoteQpn: attrs.remoteQpn ?? null,
        retries: run?.retries ?? 0,
        failed: failure === undefined ? null : (failure.status ?? 'ERR'),
      };
    }
    case 'communicator':
      return { ranks: node.nranks ?? null, here: node.members.size, counted: node.counted };
    default:
      return { holders: node.holders.length, members: node.members.length };
  }
}
