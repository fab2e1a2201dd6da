/** `xctl graph`: the whole of it, or the part around one process or around what is wrong. */
import type { Findings, WhyAnswer } from '../../scene/answer.js';
import { UsageError } from '../../util/errors.js';
import { flag, pid } from '../core/args.js';
import { type Context, createCommand } from '../core/command.js';
import { emit } from '../emit.js';
import type { PickedGraph } from '../render/graph-pick.js';
import type { Style } from '../terminal.js';

export const graphCommand = createCommand({
  name: 'graph',
  describe: 'Print the causal graph: who waits on what, and who holds it',
  examples: [
    'xctl graph --pid 4242',
    'xctl graph --trouble -o html > graph.html',
    'xctl graph -o dot | dot -Tsvg > graph.svg',
  ],
  outputs: ['text', 'json', 'yaml', 'dot', 'mermaid', 'html'],
  positionals: {},
  options: {
    pid: pid('Only what this process waits for, and who waits for it', 'xctl graph --pid 4242'),
    trouble: flag('Only the chains of what is wrong on this node'),
  },
  run: async (args, context) => {
    if (args.pid !== undefined && args.trouble) {
      throw new UsageError('--pid and --trouble exclude each other, e.g. xctl graph --trouble');
    }
    const { graph, answer } = await ask(args.pid, args.trouble, context);
    await emit(context, graph, await renderer(context, answer));
  },
});

interface Asked {
  readonly graph: PickedGraph;
  /** What marks the causes in it. */
  readonly answer?: WhyAnswer | Findings;
}

async function ask(pid: number | undefined, trouble: boolean, context: Context): Promise<Asked> {
  const client = await context.client();
  if (pid === undefined && !trouble) return { graph: await client.graph() };
  const { pickProcess, pickTrouble } = await import('../render/graph-pick.js');
  if (pid === undefined) {
    const answer = await client.findings();
    return { graph: pickTrouble(await client.graph(), answer), answer };
  }
  const answer = await client.why(pid);
  return { graph: pickProcess(await client.graph(), answer), answer };
}

type Render = (graph: PickedGraph, style: Style) => string;

async function renderer({ output }: Context, answer: WhyAnswer | Findings | undefined): Promise<Render> {
  switch (output) {
    case 'dot':
      return (await import('../render/graph-dot.js')).renderDot;
    case 'mermaid':
      return (await import('../render/graph-mermaid.js')).renderMermaid;
    case 'html': {
      const [{ renderHtml }, { clean }, { renderWhy }, { renderFindings }] = await Promise.all([
        import('../render/graph-html.js'),
        import('../render/clean.js'),
        import('../render/why.js'),
        import('../render/findings.js'),
      ]);
      return (graph) => {
        if (answer === undefined) return renderHtml(graph, undefined);
        const shown = clean(answer, PAGE);
        return renderHtml(graph, 'findings' in shown ? renderFindings(shown, PAGE) : renderWhy(shown, PAGE));
      };
    }
    default:
      return (await import('../render/graph.js')).renderGraph;
  }
}

/** A page is UTF-8 by its own word, whatever the terminal is. */
const PAGE: Style = { width: 100, tableWidth: 100, color: false, unicode: true };
