/** `xctl why|diag PID --replay FILE`: the same question to a recording, answered in this process. */
import type { RecordingSummary } from '../events/recording.js';
import type { DiagnosisInput } from '../rules/diagnosis-input.js';
import type { RuleSet } from '../rules/rule-set.js';
import type { Findings, WhyAnswer } from '../scene/answer.js';
import { NoProcessError, UsageError } from '../util/errors.js';
import { printable } from '../util/text.js';

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
  throw unknownIn(file, pid);
}

/**
 * @param directory of the rules; undefined: those of the package
 * @throws UsageError the file is no recording, or the directory cannot be read
 * @throws NoProcessError it does not know the process
 */
export async function replayInput(
  file: string,
  pid: number,
  directory: string | undefined,
): Promise<{ readonly input: DiagnosisInput; readonly gaps: readonly string[] }> {
  const { replayDiagnosis } = await import('../rules/replay.js');
  const rules = await rulesFrom(directory);
  const { input, summary } = await replayDiagnosis(file, pid, rules);
  if (input === undefined) throw unknownIn(file, pid);
  const refused = rules.state.refused.flatMap(({ errors }) => errors);
  return {
    input,
    gaps: [...gapsOf(summary), ...refused.map((line) => `rule file left out: ${printable(line)}`)],
  };
}

async function rulesFrom(typed: string | undefined): Promise<RuleSet> {
  const { loadRules, noRules } = await import('../rules/load.js');
  const { packageRules } = await import('../rules/directory.js');
  const { RefusedFileError } = await import('../rules/files.js');
  const directory = typed ?? packageRules();
  if (directory === undefined) return noRules(null);
  try {
    return await loadRules(directory);
  } catch (error) {
    if (!(error instanceof RefusedFileError)) throw error;
    throw new UsageError(`${printable(directory)} ${error.message}`, { cause: error });
  }
}

function unknownIn(file: string, pid: number | undefined): NoProcessError {
  return new NoProcessError(
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
