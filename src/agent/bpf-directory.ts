/** Where the built BPF objects lie: beside the bundle (dist/agent.js, dist/bpf/), also in the npm package. */
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export function bpfDirectory(): string {
  return join(dirname(fileURLToPath(import.meta.url)), 'bpf');
}
