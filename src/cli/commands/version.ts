/** `xctl version`: this command's and the agent's. That no agent answers is an answer too, not a failure. */
import type { VersionInfo } from '../../api/contract.js';
import { messageOf } from '../../util/errors.js';
import { packageVersion } from '../../util/version.js';
import { createCommand } from '../core/command.js';
import { emit } from '../emit.js';

export interface Versions {
  readonly client: { readonly version: string; readonly node: string };
  readonly agent: VersionInfo | null;
  /** Why `agent` is null. */
  readonly noAgent?: string;
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
      (agent) => ({ agent }),
      (error: unknown) => ({ agent: null, noAgent: messageOf(error) }),
    );
    const versions: Versions = { client, ...asked };
    await emit(context, versions, renderVersion);
  },
});

function renderVersion({ client, agent, noAgent }: Versions): string {
  const ours = `xctl ${client.version} (Node.js ${client.node})\n`;
  if (agent === null) return `${ours}agent unknown: ${noAgent ?? ''}\n`;
  return `${ours}agent ${agent.version} on ${agent.node} (libbpf ${agent.libbpf ?? 'none'}, Linux ${agent.kernel})\n`;
}
