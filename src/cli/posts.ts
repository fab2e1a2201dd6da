/**
 * `xctl diag` of a process with queue pairs: what it posts to them, for some seconds. A post to a real card never enters
 * the kernel, so that this is the one thing that has to be looked at while somebody asks. Afterwards the agent is asked
 * again: it may know more then. Whatever goes wrong here is told, and takes nothing of the answer away.
 */
import type { AgentClient } from '../api/client.js';
import { isDropped, type StreamLine } from '../api/stream.js';
import type { DiagnosisFacts } from '../diag/diagnose.js';
import type { PostsSeen } from '../diag/diagnosis.js';
import type { DiagnosisInput } from '../rules/diagnosis-input.js';
import { messageOf, XctlError } from '../util/errors.js';
import type { Context } from './core/command.js';

/** The agent needs about one to find the library; posts are in a table that it reads once a second. */
const LOOK_MS = 4_000;
/** Longer than the look: it still goes on when the agent is asked again. */
const SPELL_S = 6;

type Seer = Pick<AgentClient, 'traceVerbs' | 'events' | 'diagnosis'>;

/** @param asked the process as it was typed: perhaps by its number in a container */
export async function lookAtPosts(
  client: Seer,
  asked: number,
  input: DiagnosisInput,
  { terminal, signal }: Pick<Context, 'terminal' | 'signal'>,
  lookMs = LOOK_MS,
): Promise<DiagnosisFacts> {
  const { pid } = input.answer.target;
  const seen = new PostCount(input.queuePairs);
  try {
    await client.traceVerbs(SPELL_S);
  } catch (error) {
    if (!(error instanceof XctlError) || signal.aborted) throw error;
    return { ...input, posts: seen.result(0, messageOf(error)) };
  }
  terminal.complain(
    `xctl diag: looking for ${lookMs / 1_000} s at what it posts to its queue pairs (--no-trace leaves that out)`,
  );
  const began = performance.now();
  const over = AbortSignal.any([signal, AbortSignal.timeout(lookMs)]);
  try {
    await client.events({ types: ['rdma.posts'], pid }, over, async (lines) => seen.take(lines));
    const again = await client.diagnosis(asked);
    return { ...again, posts: seen.result(performance.now() - began, null) };
  } catch (error) {
    if (!(error instanceof XctlError) || signal.aborted) throw error;
    return { ...input, posts: seen.result(performance.now() - began, messageOf(error)) };
  }
}

/** Adds up events of one process. */
class PostCount {
  readonly #queuePairs: number;
  readonly #qps = new Map<string, { posts: number; outstanding: number | undefined }>();
  #bytes = 0;
  #missed = 0;

  constructor(queuePairs: number) {
    this.#queuePairs = queuePairs;
  }

  take(lines: readonly StreamLine[]): void {
    for (const line of lines) {
      if (isDropped(line)) {
        this.#missed += line.dropped;
        continue;
      }
      const { posts, bytes, outstanding } = line.attrs;
      const qp = this.#qps.get(line.entity) ?? { posts: 0, outstanding: undefined };
      qp.posts += numberOf(posts) ?? 0;
      qp.outstanding = numberOf(outstanding);
      this.#bytes += numberOf(bytes) ?? 0;
      this.#qps.set(line.entity, qp);
    }
  }

  result(windowMs: number, refused: string | null): PostsSeen {
    const all = [...this.#qps.values()];
    const known = all.flatMap(({ outstanding }) => (outstanding === undefined ? [] : [outstanding]));
    const sum = (list: readonly number[]): number => list.reduce((total, one) => total + one, 0);
    return {
      windowMs: Math.round(windowMs),
      queuePairs: this.#queuePairs,
      postedTo: all.filter(({ posts }) => posts > 0).length,
      posts: sum(all.map(({ posts }) => posts)),
      bytes: this.#bytes,
      outstanding: known.length === 0 ? null : sum(known),
      missed: this.#missed,
      refused,
    };
  }
}

function numberOf(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : undefined;
}
