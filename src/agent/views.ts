/** The graph as lists: for `xctl ps` and `xctl graph`. */
import type { GraphEdge, GraphNode as NodeView, ProcessRow } from '../api/contract.js';
import { attrsOf } from '../graph/attributes.js';
import type { ProcessNode } from '../graph/model.js';
import type { StateGraph } from '../graph/state-graph.js';
import { timeText } from '../scene/evidence.js';
import { waitedMs } from '../scene/finding.js';
import { waitNote } from '../scene/words.js';

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
