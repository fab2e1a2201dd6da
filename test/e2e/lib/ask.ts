/** Questions to a real agent, asked until the answer is the one that the facts must lead to. */
import type { WhyAnswer } from '../../../src/scene/answer.js';
import type { Agent } from '../../lib/agent.js';
import { workload } from '../../lib/cc.js';
import { type Proc, type StartOptions, start } from '../../lib/proc.js';
import type { Scope } from '../../lib/scope.js';
import { until } from '../../lib/until.js';

/** What of an answer a test looks at; a failed comparison shows just this. */
export interface Brief {
  readonly verdict: WhyAnswer['verdict'];
  readonly scene: WhyAnswer['scene'];
  readonly subScene: string | null;
  readonly root: string | null;
  readonly rootType: string | null;
  /** Nodes of the chain, from the target on. */
  readonly nodes: readonly string[];
}

export function brief(answer: WhyAnswer): Brief {
  const [first] = answer.chain;
  return {
    verdict: answer.verdict,
    scene: answer.scene,
    subScene: answer.subScene,
    root: answer.rootCause?.node ?? null,
    rootType: answer.rootCause?.type ?? null,
    nodes: first === undefined ? [] : [first.from, ...answer.chain.map((link) => link.to)],
  };
}

/** Nothing is wrong with it, or nothing but that this machine's CPUs are busy with other tests. */
export function isWell(answer: WhyAnswer): boolean {
  return answer.verdict === 'healthy' || answer.subScene === 'CpuStarved';
}

export interface AskOptions {
  /** 10 s unless said. */
  readonly timeoutMs?: number;
  readonly what: string;
}

/** Asks again and again until `right` agrees. @throws Error that ends with the last answer */
export async function untilWhy(
  agent: Agent,
  pid: number,
  right: (answer: WhyAnswer) => boolean,
  { timeoutMs = 10_000, what }: AskOptions,
): Promise<WhyAnswer> {
  let last: WhyAnswer | undefined;
  try {
    await until(
      async () => {
        last = await agent.why(pid);
        return right(last);
      },
      { timeoutMs, what: `why ${pid}: ${what}`, everyMs: 100 },
    );
  } catch (error) {
    const said = last === undefined ? 'no answer at all' : JSON.stringify(last, null, 1);
    throw new Error(`${error instanceof Error ? error.message : String(error)}; last answer: ${said}`, {
      cause: error,
    });
  }
  if (last === undefined) throw new Error('no answer');
  return last;
}

/** Each link has evidence that the answer contains, and the links hang together from the target to the root. */
export function chainFlaws(answer: WhyAnswer): readonly string[] {
  const flaws: string[] = [];
  const known = new Set(answer.evidence.map((one) => one.id));
  if (known.size !== answer.evidence.length) flaws.push('two pieces of evidence have one id');
  let at = `pid:${answer.target.pid}`;
  for (const link of answer.chain) {
    if (link.from !== at) flaws.push(`${link.from} does not follow ${at}`);
    for (const id of link.evidence) if (!known.has(id)) flaws.push(`no evidence ${id}`);
    at = link.to;
  }
  if (answer.confidence < 0 || answer.confidence > 1) flaws.push(`confidence ${answer.confidence}`);
  if (answer.verdict === 'cause-found' && answer.rootCause === null) flaws.push('a cause without a root');
  if (answer.verdict !== 'cause-found' && answer.rootCause !== null) flaws.push('a root without a cause');
  return flaws;
}

/** Starts `test/e2e/workloads/<name>.c` with its `key=value` arguments. */
export async function startE2e(
  scope: Scope,
  name: string,
  args: Readonly<Record<string, string | number>> = {},
  options: StartOptions = {},
): Promise<Proc> {
  const words = Object.entries(args).map(([key, value]) => `${key}=${value}`);
  return start(scope, await workload(`e2e-${name}`, `test/e2e/workloads/${name}.c`), words, options);
}
