/** `xctl version`: this command's and the agent's. Without an agent the first is still printed. */
import type { VersionInfo } from '../../api/contract.js';
import { createCommand } from '../core/command.js';
import { emit } from '../emit.js';
import { packageVersion } from '../../util/version.js';

export interface Versions {
  readonly client: { readonly version: string; readonly node: string };
  readonly agent: VersionInfo | null;
}

export const versionCommand = createCommand({
  name: 'version',
  describe: 'Print the versions of xctl and of the agent',
  examples: ['xctl version', 'xctl --version'],
  positionals: {},
  options: {},
  run: async (_args, context) => {
    const client = { version: packageVersion(), node: process.version };
    const asked = await (await context.client()).version().then(
      (agent) => ({ agent, error: undefined }),
      (error: unknown) => ({ agent: null, error }),
    );
    await emit(context, { client, agent: asked.agent }, renderVersion);
    if (asked.error !== undefined) throw asked.error;
  },
});

function renderVersion({ client, agent }: Versions): string {
  const ours = `xctl ${client.version} (Node.js ${client.node})\n`;
  if (agent === null) return ours;
  return `${ours}agent ${agent.version} on ${agent.node} (libbpf ${agent.libbpf ?? 'none'}, Linux ${agent.kernel})\n`;
}
