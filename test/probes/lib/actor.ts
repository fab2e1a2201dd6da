/** A process with one TCP socket, told what to do (actor.py); for the cases that no server shape covers. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { ROOT } from '../../lib/root.js';
import type { Scope } from '../../lib/scope.js';

export class Actor {
  /** Of the process itself: `ip netns exec` becomes what it runs. */
  readonly pid: number;
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #lines: Interface;

  constructor(scope: Scope, netns: string) {
    const script = join(ROOT, 'test/probes/lib/actor.py');
    this.#child = spawn('ip', ['netns', 'exec', netns, '/usr/bin/python3', '-u', script]);
    this.pid = this.#child.pid ?? -1;
    this.#lines = createInterface({ input: this.#child.stdout });
    scope.teardown(() => this.end());
  }

  /**
   * | command | answer |
   * |---|---|
   * | `listen HOST [RCVBUF]` | port |
   * | `accept` | |
   * | `connect HOST PORT` | local port, or the errno |
   * | `start HOST PORT` connects without waiting | |
   * | `send N` without waiting for room | bytes taken |
   * | `drain` reads what is there | bytes |
   * | `hold`, `fork-send N` a child holds the socket, or sends on it, too | its pid |
   * | `fork-use N` the child sends, the parent closes its own | its pid |
   * | `close`, `abort`, `exit` | |
   */
  async tell(command: string): Promise<number> {
    const answer = once(this.#lines, 'line');
    this.#child.stdin.write(`${command}\n`);
    const [line] = await answer;
    return Number(line);
  }

  /** As `tell`, for a command that has no answer. */
  say(command: string): void {
    this.#child.stdin.write(`${command}\n`);
  }

  end(): void {
    this.#lines.close();
    this.#child.kill('SIGKILL');
    this.#child.stdout.destroy();
    this.#child.stderr.destroy();
  }
}
