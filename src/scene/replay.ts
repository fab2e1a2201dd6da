/** `xctl why PID --replay FILE`: the same graph and the same walk, from a recording's events. */
import { RecordingReader, type RecordingSummary } from '../events/recording.js';
import { StateGraph } from '../graph/state-graph.js';
import type { Findings, WhyAnswer } from './answer.js';
import { findings } from './findings.js';
import { why } from './why.js';

export interface Replayed {
  /** undefined: the recording knows no such process. */
  readonly answer: WhyAnswer | Findings | undefined;
  readonly summary: RecordingSummary;
}

/**
 * The answer as of the recording's end.
 * @param pid undefined: what was wrong on the node, worst first.
 * @throws UsageError when the file cannot be read or is no recording of this version
 */
export async function replay(file: string, pid: number | undefined): Promise<Replayed> {
  const reader = await RecordingReader.open(file);
  const graph = new StateGraph();
  for await (const event of reader) graph.apply(event);
  const options = { node: reader.header.node, bootMs: reader.header.bootEpochMs };
  const answer = pid === undefined ? findings(graph, options) : why(graph, pid, options);
  return { answer, summary: reader.summary() };
}
