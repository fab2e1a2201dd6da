/** `xctl events`: what the probes say, as it happens. */
import type { StreamLine } from '../../api/stream.js';
import { eventTypes, flag, pid, seconds } from '../core/args.js';
import { type Context, createCommand } from '../core/command.js';

/** The agent keeps facts and not the events they came from, so "now" is a short window. */
const DEFAULT_WINDOW_S = 3;

export const eventsCommand = createCommand({
  name: 'events',
  describe: `Print events as they happen: for ${DEFAULT_WINDOW_S} seconds, or with -f until Ctrl-C (exit code 130)`,
  examples: [
    'xctl events -f',
    'xctl events -f --type transport,wait.tcp --pid 4242',
    'xctl events --for 30 -o json',
  ],
  positionals: {},
  options: {
    follow: flag('Until Ctrl-C', 'f'),
    for: seconds(`Seconds to print events for (${DEFAULT_WINDOW_S})`, 30),
    type: eventTypes('Only these families or types, separated by commas'),
    pid: pid('Only events of this process', 'xctl events --pid 4242'),
  },
  run: async (args, context) => {
    const client = await context.client();
    const show = await printer(context);
    const windowMs = (args.for ?? DEFAULT_WINDOW_S) * 1000;
    const signal =
      args.follow && args.for === undefined
        ? context.signal
        : AbortSignal.any([context.signal, AbortSignal.timeout(windowMs)]);
    const filter = {
      ...(args.type !== undefined && { types: args.type }),
      ...(args.pid !== undefined && { pid: args.pid }),
    };
    await client.events(filter, signal, async (lines) => context.terminal.print(lines.map(show).join('')));
  },
});

async function printer({ output, terminal }: Context): Promise<(line: StreamLine) => string> {
  switch (output) {
    case 'json': {
      const { toJsonLine } = await import('../render/data.js');
      return (line) => toJsonLine(line, terminal.style.unicode);
    }
    case 'yaml': {
      const { yamlDocumentWriter } = await import('../render/data.js');
      return yamlDocumentWriter(terminal.style.unicode);
    }
    default: {
      const [{ renderEvent }, { clean }] = await Promise.all([
        import('../render/events.js'),
        import('../render/clean.js'),
      ]);
      return (line) => renderEvent(clean(line, terminal.style), terminal.style);
    }
  }
}
