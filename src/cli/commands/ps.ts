/** `xctl ps`. */
import { createCommand } from '../core/command.js';
import { emit } from '../emit.js';

export const psCommand = createCommand({
  name: 'ps',
  describe: 'List the processes that the agent knows, and what each waits for',
  examples: ['xctl ps', 'xctl ps -o json'],
  positionals: {},
  options: {},
  run: async (_args, context) => {
    const { renderPs } = await import('../render/ps.js');
    await emit(context, await (await context.client()).ps(), renderPs);
  },
});
