/** `xctl doctor`. */
import { createCommand } from '../core/command.js';
import { emit } from '../emit.js';

export const doctorCommand = createCommand({
  name: 'doctor',
  describe: 'Say what the agent can see here, what it cannot, and why',
  examples: ['xctl doctor'],
  positionals: {},
  options: {},
  run: async (_args, context) => {
    const { renderDoctor } = await import('../render/doctor.js');
    await emit(context, await (await context.client()).doctor(), renderDoctor);
  },
});
