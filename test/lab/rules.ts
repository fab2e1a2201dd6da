/** Which rules explain a process, by the agent's own word: none needs a model, and none is asked. */
import type { AgentClient } from '../../src/api/client.js';
import { UsageError } from '../../src/util/errors.js';
import type { RulesSaid } from './result.js';

export async function rulesFor(client: AgentClient, pid: number): Promise<RulesSaid> {
  try {
    const { hits, rules } = await client.diagnosis(pid);
    if (rules.rules === 0) return { kind: 'absent' };
    // Of the answer itself and not of what is told beside it.
    const own = hits.filter(({ finding }) => finding === 0).map(({ rule }) => rule);
    return own.length === 0 ? { kind: 'none' } : { kind: 'hit', names: own };
  } catch (error) {
    // An agent that does not know the question.
    if (error instanceof UsageError) return { kind: 'absent' };
    throw error;
  }
}
