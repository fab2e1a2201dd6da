/**
 * What the fault lab is made of: a labelled fault (or none) on real processes, with the truth about it. The truth comes
 * from who makes the fault, never from what the agent says: ids of nodes are put together from what the workloads print.
 *
 *     export const PATH_DOWN: Scenario = {
 *       name: 'path-down', kind: 'fault', severity: 'stands',
 *       prepare: async (scope, dice) => {
 *         const { trainer, world, flows } = await training(scope, dice);
 *         return {
 *           asked: [trainer.pid],
 *           inject: () => world.drop(),
 *           truth: () => ({ causes: [{ scene: 'NetworkStall', subScene: 'PathDown', root: flows }] }),
 *         };
 *       },
 *     };
 */
import type { Scene, Verdict } from '../../src/scene/answer.js';
import type { Agent } from '../lib/agent.js';
import type { Scope } from '../lib/scope.js';
import type { Dice } from './dice.js';

/**
 * `fault`: one cause. `double`: two at once. `decoy`: something loud that is not the cause (there may be another one).
 * `healthy`: nothing at all is wrong.
 */
export type Kind = 'fault' | 'double' | 'decoy' | 'healthy';

/** How bad it is for who is asked about: it goes on more slowly, it stands still, it has ended; or nothing. */
export type Severity = 'slows' | 'stands' | 'ends' | 'none';

/** A node id, a pattern of ids, or any of several: a connection has a name from either end. */
export type NodeMatcher = string | RegExp | readonly (string | RegExp)[];

/** One true cause, and what a right answer says of it. */
export interface Cause {
  /** The first is the one it is counted under; several where it depends on the moment of the question. */
  readonly scene: Scene | readonly Scene[];
  /** Any of these; null: none. */
  readonly subScene: string | null | readonly (string | null)[];
  /** Absent: the cause is not on this node, or nobody could know it; a right answer names none and says `symptom-only`. */
  readonly root?: NodeMatcher;
  /** Without a root: where the chain should lead to. What cannot know better is right with that. */
  readonly leadsTo?: NodeMatcher;
  /** Nodes that the chain must pass, in this order; others may lie between them. */
  readonly via?: readonly NodeMatcher[];
}

export interface Truth {
  /** None: nothing is wrong with who is asked about, and a right answer names no cause. */
  readonly causes: readonly Cause[];
  /**
   * Of several: whether the first must come first (it is deeper), or any may. All others must be among the
   * alternatives. `first` unless said.
   */
  readonly order?: 'first' | 'any';
  /** Without a cause: verdicts that are right; `healthy` alone unless said. */
  readonly verdicts?: readonly Verdict[];
}

export interface Prepared {
  /** Processes asked about; the first is judged, each is looked at for false alarms before the fault. */
  readonly asked: readonly number[];
  /** Of those, whom the fault hits although nothing ails the first: of them a finding is right. */
  readonly hit?: readonly number[];
  /** Makes the fault. When it returns, the fault is there: the clock of the delay starts. */
  readonly inject: () => Promise<void>;
  /** Asked for after `inject`: what it started is known by then. */
  readonly truth: () => Truth;
  /** Ends the fault, where it can be ended; called before everything is undone. */
  readonly heal?: () => Promise<void>;
}

/** `W`: what all scenarios of a suite share, at least an agent. */
export interface Scenario<W extends Stage = Stage> {
  /** Lower case with hyphens, unique in its suite: `path-down-ipv6`. The lab calls it `suite/name`. */
  readonly name: string;
  readonly kind: Kind;
  readonly severity: Severity;
  /** A cause of the published tables that it stands for (docs/published-causes.md). */
  readonly proves?: readonly string[];
  /** What this machine lacks for it; undefined: nothing. */
  readonly missing?: () => Promise<string | undefined>;
  /** Nothing else may run beside it: it takes a CPU, or the whole machine feels it. */
  readonly alone?: true;
  /** From the fault to the answer that is judged; 8 s unless said. */
  readonly judgedAfterMs?: number;
  /** It may be in trouble from the start (a process that has crashed, a deadlock that is its only state). */
  readonly startsBroken?: true;
  readonly prepare: (scope: Scope, dice: Dice, stage: W) => Promise<Prepared>;
}

/** What scenarios are played on. */
export interface Stage {
  readonly agent: Agent;
}

export interface SuiteOptions<W extends Stage> {
  /** `network`, `storage`, …: the first part of its scenarios' names. */
  readonly name: string;
  readonly missing?: () => Promise<string | undefined>;
  /** Absent: played with the lab's own agent. One that needs another (a double of NVML) starts it here. */
  readonly open?: (scope: Scope) => Promise<W>;
  readonly scenarios: readonly Scenario<W>[];
}

/** Scenarios that share a stage, whatever that is made of. */
export interface Suite {
  readonly name: string;
  readonly missing: () => Promise<string | undefined>;
  /** It has an agent of its own. */
  readonly ownStage: boolean;
  readonly scenarios: readonly Omit<Scenario, 'prepare'>[];
  /** `lab`: the stage that suites without one of their own are played on. */
  readonly open: (scope: Scope, lab: () => Promise<Stage>) => Promise<OpenSuite>;
}

export interface OpenSuite {
  readonly agent: Agent;
  prepare(name: string, scope: Scope, dice: Dice): Promise<Prepared>;
}

/** A suite on the lab's own agent. */
export function suite(options: Omit<SuiteOptions<Stage>, 'open'>): Suite {
  return suiteWith({ ...options, own: false, stageOf: (_scope, lab) => lab() });
}

/** A suite with a stage of its own. */
export function suiteOn<W extends Stage>(
  options: SuiteOptions<W> & Required<Pick<SuiteOptions<W>, 'open'>>,
): Suite {
  return suiteWith({ ...options, own: true, stageOf: (scope) => options.open(scope) });
}

interface Whole<W extends Stage> extends SuiteOptions<W> {
  readonly own: boolean;
  readonly stageOf: (scope: Scope, lab: () => Promise<Stage>) => Promise<W>;
}

function suiteWith<W extends Stage>({ name, missing, own, stageOf, scenarios }: Whole<W>): Suite {
  const byName = new Map(scenarios.map((one) => [one.name, one]));
  if (byName.size !== scenarios.length) throw new Error(`two scenarios of ${name} have one name`);
  return {
    name,
    missing: missing ?? (() => Promise.resolve(undefined)),
    ownStage: own,
    scenarios,
    open: async (scope, lab) => {
      const stage = await stageOf(scope, lab);
      return {
        agent: stage.agent,
        prepare: (wanted, own, dice) => {
          const found = byName.get(wanted);
          if (found === undefined) throw new Error(`no scenario ${wanted} in ${name}`);
          return found.prepare(own, dice, stage);
        },
      };
    },
  };
}
