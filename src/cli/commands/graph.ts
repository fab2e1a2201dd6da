/** `xctl graph`. */
import { createCommand } from '../core/command.js';
import { emit } from '../emit.js';

export const graphCommand = createCommand({
  name: 'graph',
  describe: 'Print the causal graph: who waits on what, and who holds it',
  examples: ['xctl graph', 'xctl graph -o dot | dot -Tsvg > graph.svg'],
  outputs: ['text', 'json', 'yaml', 'dot'],
  positionals: {},
  options: {},
  run: async (_args, context) => {
    const { renderDot, renderGraph } = await import('../render/graph.js');
    const view = await (await context.client()).graph();
    await emit(context, view, context.output === 'dot' ? renderDot : renderGraph);
  },
});
