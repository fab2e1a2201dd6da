/** `xctl why PID --replay FILE`: the same question to a recording, answered in this process. */
import type { RecordingSummary } from '../events/recording.js';
import type { Findings, WhyAnswer } from '../scene/answer.js';
import { NoProcessError } from '../util/errors.js';

export interface ReplayedAnswer {
  readonly answer: WhyAnswer | Findings;
  /** What is missing in the recording, a line each: the answer may be another without the gaps. */
  readonly gaps: readonly string[];
}

/**
 * @param pid undefined: what was wrong on the node when the recording ended
 * @throws UsageError the file is no recording or cannot be read
 * @throws NoProcessError it does not know the process
 */
export async function replayAnswer(file: string, pid: number | undefined): Promise<ReplayedAnswer> {
  const { replay } = await import('../scene/replay.js');
  const { answer, summary } = await replay(file, pid);
  if (answer !== undefined) return { answer, gaps: gapsOf(summary) };
  throw new NoProcessError(
    `no process ${pid} in ${file}; xctl why --replay ${file} lists what is wrong in it`,
  );
}

function gapsOf({ events, rejected, truncated, trailer }: RecordingSummary): readonly string[] {
  const unreadable = Object.values(rejected).reduce((sum, count) => sum + (count ?? 0), 0);
  const gaps: string[] = [];
  if (trailer === null) {
    const where = truncated ? ', in the middle of a line' : '';
    gaps.push(`the recording ends early, after ${events} events${where}: the answer is as of then`);
  }
  if (trailer !== null && trailer.dropped > 0) gaps.push(`the agent left out ${trailer.dropped} events`);
  if (unreadable > 0) gaps.push(`${unreadable} lines are no events and were passed over`);
  return gaps;
}
