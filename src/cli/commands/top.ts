/** `xctl top`: live on a terminal, once where something else reads. */
import type { ProcessList } from '../../api/contract.js';
import type { Findings } from '../../scene/answer.js';
import { type Context, createCommand } from '../core/command.js';
import { emit } from '../emit.js';
import type { Screen } from '../screen.js';

export interface Snapshot extends ProcessList {
  readonly findings: Findings['findings'];
}

export const topCommand = createCommand({
  name: 'top',
  describe: 'Watch what is wrong and what processes wait for; q leaves. Not on a terminal: once',
  examples: ['xctl top', 'xctl top -o json'],
  positionals: {},
  options: {},
  run: async (_args, context) => {
    const screen = context.output === 'text' ? await context.openScreen() : undefined;
    if (screen === undefined) return once(context);
    await live(screen, context);
  },
});

async function once(context: Context): Promise<void> {
  const client = await context.client();
  const findings = await client.findings();
  const ps = await client.ps();
  const { renderTop } = await import('../render/top.js');
  const snapshot: Snapshot = { ...ps, findings: findings.findings };
  await emit(context, snapshot, ({ findings: list, ...shown }, style) => {
    const state = {
      ps: shown,
      findings: { ...findings, findings: list },
      order: 'trouble',
      offset: 0,
    } as const;
    return `${renderTop({ ...state, problem: undefined }, style).lines.join('\n')}\n`;
  });
}

async function live(screen: Screen, context: Context): Promise<void> {
  const { watch } = await import('../watch.js');
  const leave = new AbortController();
  const signal = AbortSignal.any([context.signal, leave.signal]);
  const client = await context.client(signal);
  try {
    await watch({ screen, client, style: context.terminal.style, signal });
  } finally {
    // What is still being asked must not keep the command alive.
    leave.abort();
  }
}
