/** `xctl why [PID]`: the reason of one process, or what is wrong on this node. */
import type { Findings, WhyAnswer } from '../../scene/answer.js';
import { pid, text } from '../core/args.js';
import { type Context, createCommand } from '../core/command.js';
import { emit } from '../emit.js';

export const whyCommand = createCommand({
  name: 'why',
  describe: 'Say why a process is stuck, slow or dead; without PID, what is wrong on this node',
  examples: ['xctl why 4242', 'xctl why', 'xctl why 4242 -o json', 'xctl why 4242 --replay incident.jsonl'],
  positionals: { pid: pid('The process, or one of its threads', 'xctl why 4242') },
  options: {
    replay: text('Answer from a recording (xctl-agent --record), without an agent', 'FILE', 'file'),
  },
  run: async (args, context) => {
    const answer =
      args.replay === undefined ? ask(args.pid, context) : replay(args.replay, args.pid, context);
    await print(await answer, context);
  },
});

async function ask(pid: number | undefined, context: Context): Promise<WhyAnswer | Findings> {
  const client = await context.client();
  return pid === undefined ? client.findings() : client.why(pid);
}

async function replay(
  file: string,
  pid: number | undefined,
  { terminal }: Context,
): Promise<WhyAnswer | Findings> {
  const { replayAnswer } = await import('../replay.js');
  const { answer, gaps } = await replayAnswer(file, pid);
  for (const gap of gaps) terminal.complain(`xctl why: note: ${gap}`);
  return answer;
}

async function print(answer: WhyAnswer | Findings, context: Context): Promise<void> {
  if ('findings' in answer) {
    const { renderFindings } = await import('../render/findings.js');
    return emit(context, answer, renderFindings);
  }
  const { renderWhy } = await import('../render/why.js');
  return emit(context, answer, renderWhy);
}
