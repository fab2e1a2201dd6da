/** An answer to stdout, in the form that was asked for. */
import type { Context } from './core/command.js';
import { clean } from './render/clean.js';
import { toJson, toYaml } from './render/data.js';
import type { Style } from './terminal.js';

/** @param render for text; gets nothing that is unfit for a terminal */
export async function emit<T>(
  context: Context,
  value: T,
  render: (value: T, style: Style) => string,
): Promise<void> {
  const { terminal, output } = context;
  switch (output) {
    case 'json':
      return terminal.print(toJson(value, terminal.style.unicode));
    case 'yaml':
      return terminal.print(await toYaml(value, terminal.style.unicode));
    case 'mermaid':
    case 'html':
      // They write what is not ASCII as codes of their own.
      return terminal.print(render(clean(value, { unicode: true }), terminal.style));
    case 'text':
    case 'dot':
      return terminal.print(render(clean(value, terminal.style), terminal.style));
  }
}
