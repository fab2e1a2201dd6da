/**
 * `why` inside the agent, on a graph of 100,000 nodes and a million edges: random processes, and those
 * that are hardest to answer for. Bar: p99 at most 5 ms.
 */
import { DEFAULT_LIMITS, StateGraph } from '../src/graph/state-graph.js';
import { findings } from '../src/scene/findings.js';
import { why } from '../src/scene/why.js';
import { buildWorld, Dice } from './lib/graph-world.js';
import { progress, report } from './lib/report.js';
import { quantile, rounded } from './lib/stats.js';

const QUESTIONS = 2_000;
/** For the compiler; an agent that was asked a few times before. */
const WARM_UP = 200;
const NODES = 100_000;
const EDGES = 1_000_000;
const BAR_MS = 5;
const MB = 1e6;

const options = { node: 'bench', bootMs: 0 };
const dice = new Dice(7);
const graph = new StateGraph();
const buildMs = timed(() => void (world = buildWorld(graph)));
