/** A scripted agent on a real socket, and command lines run in this process against it. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import { ApiServer, type ServerLimits } from '../../src/api/server.js';
import { run } from '../../src/cli/run.js';
import { createLog } from '../../src/util/log.js';
import { OWN_PREFIX } from '../lib/owner.js';
import { ScriptedBackend } from './backend.js';

/** What must never be printed; the end of a line is the one control character that may. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it is for
export const RAW = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/;

/** A directory whose path leaves room for a socket's name (t.testdir()'s may not), with `files` in it. */
export function tempDir(t: Test, files: Readonly<Record<string, string>> = {}): string {
  const dir = mkdtempSync(join(tmpdir(), OWN_PREFIX));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(dir, name), text);
  return dir;
}

export interface Served {
  readonly server: ApiServer;
  readonly backend: ScriptedBackend;
  readonly path: string;
  readonly log: string[];
}

/** The server ends with the test. */
export async function serve(t: Test, limits: Partial<ServerLimits> = {}, path?: string): Promise<Served> {
  const socketPath = path ?? join(tempDir(t), 'a.sock');
  const backend = new ScriptedBackend();
  const log: string[] = [];
  const server = new ApiServer({
    socketPath,
    backend,
    log: createLog('debug', (line) => log.push(line)),
    limits,
  });
  await server.start();
  t.teardown(() => server.stop());
  return { server, backend, path: socketPath, log };
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly signal?: AbortSignal;
  /** Called with stdout so far after every write. */
  readonly onOutput?: (text: string) => void;
}

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export async function runCli(argv: readonly string[], options: RunOptions = {}): Promise<Ran> {
  let stdout = '';
  let stderr = '';
  const never = new AbortController();
  const code = await run(argv, {
    stdout: {
      write: (text) => {
        stdout += text;
        options.onOutput?.(stdout);
        return true;
      },
      once: () => undefined,
      ...(options.isTTY !== undefined && { isTTY: options.isTTY }),
      ...(options.columns !== undefined && { columns: options.columns }),
    },
    stderr: {
      write: (text) => {
        stderr += text;
        return true;
      },
      once: () => undefined,
    },
    env: { LANG: 'C.UTF-8', ...options.env },
    signal: options.signal ?? never.signal,
  });
  return { code, stdout, stderr };
}
