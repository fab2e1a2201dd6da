/**
 * The live causal graph: a pure function of its events. Time is the events' time; nothing here
 * reads a clock, so a recording replayed gives the same graph and the same answers.
 *
 * `apply` costs O(degree of the nodes the event names). Memory is bounded by `limits`; what had to
 * give way is counted in `stats()` and never in silence.
 */
import type { Event } from '../events/event.js';
import { processId } from '../events/ids.js';
import { assertNever } from '../util/errors.js';
import { EdgeSet } from './edges.js';
import { ExitedStore } from './exited.js';
import type {
  BlockDeviceNode,
  Edge,
  EdgeKind,
  Fact,
  FilesystemNode,
  GpuNode,
  GraphNode,
  HostState,
  NodeType,
  ProcessNode,
  ResourceNode,
  Thread,
} from './model.js';
import { RESOURCE_PREFIXES } from './model.js';
import { applyGpu, forgetGpu, gpuNode } from './gpu.js';
import { XidLedger } from './gpu-xids.js';
import { applyHost, newCgroup } from './host.js';
import { applyNccl, newComm } from './nccl.js';
import { applyProcess } from './process.js';
import { applyRdma } from './rdma.js';
import { RdmaIndex } from './rdma-peers.js';
import { isOver, isResource } from './kinds.js';
import { DEFAULT_LIMITS, type GraphLimits, type GraphStats } from './limits.js';
import { newPort } from './rdma-ports.js';
import { forgetQp, newQp } from './rdma-lives.js';
import { applyStorage, newBlockDevice, newFilesystem } from './storage.js';
import { applyTransport, newFlow } from './transport.js';
import { applyHolders, applyPass, applyWait } from './waits.js';

/** Nodes looked at for ageing at a time: bounds the work of one event. */
const SWEEP_NODES = 4_000;
/** Event time between two of these. */
const SWEEP_EVERY_MS = 1_000;

export class StateGraph {
  readonly limits: GraphLimits;
  readonly nodes = new Map<string, GraphNode>();
  readonly edges = new EdgeSet();
  readonly exited: ExitedStore;
  readonly threadsByTid = new Map<number, Thread>();
  readonly nodeCounts = new Map<NodeType, number>();
  /** Few, and asked for by what is on them. */
  readonly blockDevices = new Set<BlockDeviceNode>();
  readonly gpus = new Set<GpuNode>();
  /** By the number that their files are known by, `8:1`. */
  readonly filesystemsByDev = new Map<string, FilesystemNode>();
  readonly host: HostState = {
    pressure: undefined,
    consumers: undefined,
    hung: new Map(),
    lockups: new Map(),
    links: new Map(),
    hardware: new Map(),
    switches: new Map(),
  };
  /** The kernel log names a GPU by its PCI address. */
  readonly gpusByPci = new Map<string, GpuNode>();
  readonly xids = new XidLedger();
  readonly rdma = new RdmaIndex();
  /** Time of the newest event, ms since the epoch; 0 before the first. */
  now = 0;
  /** Time of the last complete pass over the threads. */
  passTs = 0;
  stale = 0;
  /** Time of the event that is being applied. */
  #eventTs = 0;
  #sweptTs = 0;
  #expired = 0;
  #evictedNodes = 0;
  #evictedEdges = 0;
  #sweep: IterableIterator<GraphNode>;

  constructor(limits: Partial<GraphLimits> = {}) {
    this.limits = { ...DEFAULT_LIMITS, ...limits };
    this.exited = new ExitedStore(this.limits.maxExited);
    this.#sweep = this.nodes.values();
  }

  apply(event: Event): void {
    this.#eventTs = event.ts;
    if (event.ts > this.now) this.now = event.ts;
    if (this.now - this.#sweptTs >= SWEEP_EVERY_MS) this.#age();
    switch (event.type) {
      case 'transport.state':
      case 'transport.retransmit':
      case 'transport.timeout':
      case 'transport.recovered':
      case 'transport.zero_window':
      case 'transport.connect':
      case 'transport.connect_failed':
      case 'transport.reset':
      case 'transport.close':
        applyTransport(this, event);
        return;
      case 'process.seen':
      case 'process.fork':
      case 'process.exec':
      case 'process.info':
      case 'process.exit':
      case 'process.oom_kill':
        applyProcess(this, event);
        return;
      case 'wait.run':
      case 'wait.sleep':
      case 'wait.futex':
      case 'wait.lock':
      case 'wait.join':
      case 'wait.pipe':
      case 'wait.unix':
      case 'wait.tcp':
      case 'wait.accept':
      case 'wait.poll':
      case 'wait.child':
      case 'wait.file_lock':
      case 'wait.disk':
      case 'wait.device':
      case 'wait.stopped':
      case 'wait.traced':
      case 'wait.frozen':
      case 'wait.other':
        applyWait(this, event);
        return;
      case 'wait.holders':
        applyHolders(this, event);
        return;
      case 'wait.pass':
        applyPass(this, event);
        return;
      case 'storage.device':
      case 'storage.use':
      case 'storage.latency':
      case 'storage.error':
      case 'storage.mount':
      case 'storage.readonly':
      case 'storage.space':
      case 'storage.rpc':
      case 'storage.users':
      case 'storage.server':
      case 'error.fs':
        applyStorage(this, event);
        return;
      case 'error.hw':
      case 'error.kernel':
      case 'error.xid':
      case 'error.sxid':
      case 'topo.link_down':
      case 'topo.link_up':
      case 'compute.throttle':
      case 'compute.memory':
      case 'compute.consumers':
      case 'compute.pressure':
        applyHost(this, event);
        return;
      case 'gpu.device':
      case 'gpu.use':
      case 'gpu.health':
      case 'gpu.processes':
      case 'gpu.users':
      case 'gpu.state':
      case 'gpu.event':
        applyGpu(this, event);
        return;
      case 'nccl.comm':
      case 'nccl.enqueue':
      case 'wait.gpu':
        applyNccl(this, event);
        return;
      case 'rdma.port':
      case 'rdma.counters':
      case 'rdma.qp':
      case 'rdma.retry':
      case 'rdma.completion':
      case 'rdma.async':
      case 'rdma.cm':
      case 'rdma.memory':
      case 'rdma.posts':
        applyRdma(this, event);
        return;
      case 'custom':
        return;
      default:
        assertNever(event);
    }
  }

  process(pid: number): ProcessNode | undefined {
    const node = this.nodes.get(processId(pid));
    return node?.type === 'process' ? node : undefined;
  }

  /** The node of an entity id, made if it is new; undefined when the graph is full. */
  resource(id: string, ts: number): ResourceNode | undefined {
    const known = this.nodes.get(id);
    if (known !== undefined) return isResource(known) ? known : undefined;
    const type = RESOURCE_PREFIXES[id.slice(0, Math.max(0, id.indexOf(':')))] ?? 'thing';
    return this.insert<ResourceNode>({
      id,
      type,
      firstTs: ts,
      lastTs: ts,
      out: [],
      in: [],
      holders: [],
      holdersTs: 0,
      members: [],
    });
  }

  /** Like `resource`, for any id an event may name. */
  node(id: string, ts: number): GraphNode | undefined {
    const known = this.nodes.get(id);
    if (known !== undefined) return known;
    if (id.startsWith('flow:')) return newFlow(this, id, ts);
    if (id.startsWith('peer:')) {
      return this.insert({
        id,
        type: 'peer',
        address: id.slice(5),
        silent: undefined,
        firstTs: ts,
        lastTs: ts,
        out: [],
        in: [],
      });
    }
    if (id.startsWith('block:')) return newBlockDevice(this, id, ts);
    if (id.startsWith('fs:')) return newFilesystem(this, id, ts);
    if (id.startsWith('cgroup:')) return newCgroup(this, id, ts);
    if (id.startsWith('gpu:')) return gpuNode(this, id, ts);
    if (id.startsWith('comm:')) return newComm(this, id, ts);
    if (id.startsWith('rdma:')) return newPort(this, id, ts);
    if (id.startsWith('qp:')) return newQp(this, id, ts);
    if (id.startsWith('pid:')) return undefined;
    return this.resource(id, ts);
  }

  insert<N extends GraphNode>(node: N): N | undefined {
    if (this.nodes.size >= this.limits.maxNodes && !this.#makeRoom()) {
      this.#evictedNodes++;
      return undefined;
    }
    this.nodes.set(node.id, node);
    if (node.type === 'block-device') this.blockDevices.add(node);
    if (node.type === 'gpu') this.gpus.add(node);
    if (node.type === 'rdma-port') this.rdma.ports.add(node);
    this.nodeCounts.set(node.type, (this.nodeCounts.get(node.type) ?? 0) + 1);
    return node;
  }

  /** Counted refusal: an edge beyond the limit is not made. */
  mayAddEdge(): boolean {
    if (this.edges.total < this.limits.maxEdges) return true;
    this.#evictedEdges++;
    return false;
  }

  /** The edge, its fact refreshed if it was there; undefined when the graph is full. */
  connect(kind: EdgeKind, from: GraphNode, to: GraphNode, fact: Fact, tid?: number): Edge | undefined {
    const known = this.edges.refresh(kind, from, to, fact, tid);
    if (known !== undefined) return known;
    return this.mayAddEdge() ? this.edges.add(kind, from, to, fact.ts, fact, tid) : undefined;
  }

  drop(node: GraphNode): void {
    this.edges.removeAll(node);
    if (node.type === 'process') {
      for (const thread of node.threads.values()) this.threadsByTid.delete(thread.tid);
      this.process(node.ppid)?.children?.delete(node);
    }
    if (node.type === 'block-device') this.blockDevices.delete(node);
    if (node.type === 'filesystem') this.forgetDev(node);
    if (node.type === 'gpu') forgetGpu(this, node);
    if (node.type === 'rdma-port') this.rdma.ports.delete(node);
    if (node.type === 'qp') forgetQp(this, node);
    if (this.nodes.get(node.id) === node) {
      this.nodes.delete(node.id);
      this.nodeCounts.set(node.type, (this.nodeCounts.get(node.type) ?? 1) - 1);
    }
  }

  /** The number may be another's by now. */
  forgetDev(node: FilesystemNode): void {
    const dev = node.mount?.dev;
    if (dev !== undefined && this.filesystemsByDev.get(dev) === node) this.filesystemsByDev.delete(dev);
  }

  stats(): GraphStats {
    return {
      nodes: Object.fromEntries(this.nodeCounts),
      edges: { ...this.edges.counts },
      exited: this.exited.size,
      expired: this.#expired,
      evicted: { nodes: this.#evictedNodes, edges: this.#evictedEdges, exited: this.exited.overwritten },
      stale: this.stale,
    };
  }

  /** A slice of the nodes a second, so that no single event pays for the whole graph. */
  #age(): void {
    this.#sweptTs = this.now;
    const before = this.now - this.limits.keepMs;
    for (let i = 0; i < SWEEP_NODES; i++) {
      const next = this.#sweep.next();
      if (next.done === true) {
        this.#sweep = this.nodes.values();
        return;
      }
      if (next.value.lastTs < before && (isOver(next.value) || this.#isUnseen(next.value, before))) {
        this.drop(next.value);
        this.#expired++;
      }
    }
  }

  /** Passes see every thread that lives, and none of this process: its exit was lost. */
  #isUnseen(node: GraphNode, before: number): boolean {
    return node.type === 'process' && node.threads.size === 0 && this.passTs >= before;
  }

  /** The limit is reached: what is over goes before its time. */
  #makeRoom(): boolean {
    for (let i = 0; i < SWEEP_NODES; i++) {
      let next = this.#sweep.next();
      if (next.done === true) {
        this.#sweep = this.nodes.values();
        next = this.#sweep.next();
      }
      if (next.done === true) return false;
      // What this very event touches is about to get edges.
      if (isOver(next.value) && next.value.lastTs < this.#eventTs) {
        this.drop(next.value);
        this.#evictedNodes++;
        return true;
      }
    }
    return false;
  }
}
