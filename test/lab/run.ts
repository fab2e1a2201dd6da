/**
 * Plays suites: several scenarios beside each other where they do not disturb each other, then those that must be alone.
 * Used by `make lab` on this machine and by whoever plays suites in a guest.
 */
import { AgentClient } from '../../src/api/client.js';
import { startAgent } from '../lib/agent.js';
import { openScope, type OpenScope } from '../lib/scope.js';
import { innerScope } from './inner.js';
import { type Piece, play } from './play.js';
import type { LabResult } from './result.js';
import type { Stage, Suite } from './scenario.js';

export interface RunOptions {
  readonly seed: number;
  /** `node`, or the guest's kernel. */
  readonly where: string;
  /** Scenarios at a time; 4 unless said. */
  readonly jobs?: number;
  /** Which to play, by `suite/name`; all unless said. */
  readonly wanted?: (name: string) => boolean;
  /** More arguments for the lab's own agent. */
  readonly agentArgs?: readonly string[];
  /** Told of each result as it comes. */
  readonly tell?: (result: LabResult) => void;
}

const QUESTION_MS = 20_000;
const JOBS = 4;

export async function runSuites(
  suites: readonly Suite[],
  options: RunOptions,
): Promise<readonly LabResult[]> {
  const { wanted = () => true, tell = () => undefined } = options;
  const scope = openScope();
  const results: LabResult[] = [];
  const add = (result: LabResult): void => {
    results.push(result);
    tell(result);
  };
  try {
    let lab: Promise<Stage> | undefined;
    const labStage = (): Promise<Stage> => {
      lab ??= startAgent(scope, { args: options.agentArgs ?? [] }).then((agent) => ({ agent }));
      return lab;
    };
    const alone: Piece[] = [];
    const together: Piece[] = [];
    for (const suite of suites) {
      const chosen = suite.scenarios.filter(({ name }) => wanted(`${suite.name}/${name}`));
      if (chosen.length === 0) continue;
      const missing = await suite.missing();
      if (missing !== undefined) {
        for (const scenario of chosen) add(skipped(suite.name, scenario, options, missing));
        continue;
      }
      if (suite.ownStage) {
        await playStage(scope, suite, chosen, options, add);
        continue;
      }
      const stage = await suite.open(scope, labStage);
      const client = new AgentClient({ socketPath: stage.agent.socket, timeoutMs: QUESTION_MS });
      for (const scenario of chosen) {
        const piece = { suite: suite.name, stage, client, scenario };
        (scenario.alone === true ? alone : together).push(piece);
      }
    }
    await playAll(together, options.jobs ?? JOBS, options, scope, add);
    await playAll(alone, 1, options, scope, add);
    return results;
  } finally {
    await scope.close();
  }
}

/** A suite with an agent of its own: it is stopped before the next one starts. */
async function playStage(
  scope: OpenScope,
  suite: Suite,
  chosen: Suite['scenarios'],
  options: RunOptions,
  add: (result: LabResult) => void,
): Promise<void> {
  const own = innerScope(scope);
  try {
    const stage = await suite.open(own, noLab);
    const client = new AgentClient({ socketPath: stage.agent.socket, timeoutMs: QUESTION_MS });
    const pieces = chosen.map((scenario) => ({ suite: suite.name, stage, client, scenario }));
    const isAlone = ({ scenario }: Piece): boolean => scenario.alone === true;
    const beside = pieces.filter((piece) => !isAlone(piece));
    await playAll(beside, options.jobs ?? JOBS, options, own, add);
    await playAll(pieces.filter(isAlone), 1, options, own, add);
  } finally {
    await own.close();
  }
}

function noLab(): Promise<Stage> {
  return Promise.reject(new Error('a suite with a stage of its own needs no other'));
}

async function playAll(
  pieces: readonly Piece[],
  jobs: number,
  options: RunOptions,
  scope: OpenScope,
  add: (result: LabResult) => void,
): Promise<void> {
  const queue = [...pieces];
  const worker = async (): Promise<void> => {
    for (let piece = queue.shift(); piece !== undefined && !scope.signal.aborted; piece = queue.shift()) {
      add(await play(scope, piece, options));
    }
  };
  await Promise.all(Array.from({ length: jobs }, worker));
}

function skipped(
  suite: string,
  { name, kind, severity, proves = [] }: Suite['scenarios'][number],
  { seed, where }: RunOptions,
  reason: string,
): LabResult {
  return { scenario: `${suite}/${name}`, seed, where, kind, severity, proves, outcome: 'skipped', reason };
}
