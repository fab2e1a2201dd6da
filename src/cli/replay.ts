/** `xctl why PID --replay FILE`: the same question to a recording, answered in this process. */
import type { Findings, WhyAnswer } from '../scene/answer.js';
import { NoProcessError } from '../util/errors.js';

/**
 * @param pid undefined: what was wrong on the node when the recording ended
 * @throws UsageError the file is no recording or cannot be read
 * @throws NoProcessError it does not know the process
 */
export async function replayAnswer(file: string, pid: number | undefined): Promise<WhyAnswer | Findings> {
  const { replay } = await import('../scene/replay.js');
  const answer = await replay(file, pid);
  if (answer !== undefined) return answer;
  throw new NoProcessError(`no process ${pid} in ${file}; xctl why --replay ${file} lists what is wrong in it`);
}
