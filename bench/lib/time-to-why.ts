/**
 * From a fault to a right answer. The clock starts when the fault is there. The agent is asked again and again over its
 * socket, and as soon as it is right the real command is run, which an emulated machine takes a second to start: both
 * times are told.
 */
import { AgentClient } from '../../src/api/client.js';
import type { WhyAnswer } from '../../src/scene/answer.js';
import type { Agent } from '../../test/lib/agent.js';
import { until } from '../../test/lib/until.js';

const ASK_EVERY_MS = 50;
const AT_MOST_MS = 30_000;

export interface Case {
  /** Who is asked about. */
  readonly pid: number;
  /** Makes the fault; when it returns, the fault is there. */
  readonly inject: () => Promise<void>;
  readonly right: (answer: WhyAnswer) => boolean;
}

/** Of several rounds of one fault; seconds. */
export interface Times {
  readonly inAgent: number[];
  readonly withCommand: number[];
  /** Answers on the way that named another cause. */
  readonly wrong: string[];
}

export function noTimes(): Times {
  return { inAgent: [], withCommand: [], wrong: [] };
}

/** One round more. @throws Error when no answer was right within 30 s */
export async function timeToWhy(
  agent: Agent,
  { pid, inject, right }: Case,
  what: string,
  times: Times,
): Promise<void> {
  const client = new AgentClient({ socketPath: agent.socket, timeoutMs: 10_000 });
  await agent.why(pid);
  await inject();
  const began = performance.now();
  const isRight = async (): Promise<boolean> => {
    const answer = await client.why(pid);
    if (right(answer)) return true;
    if (answer.verdict === 'cause-found')
      times.wrong.push(`${answer.scene}/${answer.subScene} at ${answer.rootCause?.type}`);
    return false;
  };
  await until(isRight, { timeoutMs: AT_MOST_MS, what, everyMs: ASK_EVERY_MS });
  times.inAgent.push((performance.now() - began) / 1000);
  await until(async () => right(await agent.why(pid)), { timeoutMs: AT_MOST_MS, what });
  times.withCommand.push((performance.now() - began) / 1000);
}
