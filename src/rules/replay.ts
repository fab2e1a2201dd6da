/** A diagnosis from a recording: the same events through the same graph and the same memory of rules. */
import { RecordingReader, type RecordingSummary } from '../events/recording.js';
import { queuePairsOf } from '../graph/rdma.js';
import { StateGraph } from '../graph/state-graph.js';
import { API_VERSION } from '../scene/answer.js';
import { timeText } from '../scene/evidence.js';
import { why } from '../scene/why.js';
import type { DiagnosisInput } from './diagnosis-input.js';
import { matchRules } from './match.js';
import { RuleMemory } from './memory.js';
import type { RuleSet } from './rule-set.js';

export interface ReplayedDiagnosis {
  /** Undefined: the recording knows no such process. */
  readonly input: DiagnosisInput | undefined;
  readonly summary: RecordingSummary;
}

/**
 * As of the recording's end.
 * @throws UsageError when the file cannot be read or is no recording of this version
 */
export async function replayDiagnosis(file: string, pid: number, rules: RuleSet): Promise<ReplayedDiagnosis> {
  const reader = await RecordingReader.open(file);
  const graph = new StateGraph();
  const memory = new RuleMemory(rules.selectors);
  for await (const event of reader) {
    graph.apply(event);
    memory.observe(event);
  }
  const { node, bootEpochMs } = reader.header;
  const answer = why(graph, pid, { node, bootMs: bootEpochMs });
  const summary = reader.summary();
  if (answer === undefined) return { input: undefined, summary };
  // A recording says nothing of its kernel; what devices there were it knows only where they were seen.
  const gpu = graph.gpus.size > 0;
  const hits = matchRules(rules, answer, { memory, graph, surroundings: gpu ? { gpu } : {} });
  return {
    input: {
      apiVersion: API_VERSION,
      node,
      ts: timeText(graph.now),
      answer,
      hits,
      rules: rules.state,
      queuePairs: queuePairsOf(graph.process(answer.target.pid)),
    },
    summary,
  };
}
