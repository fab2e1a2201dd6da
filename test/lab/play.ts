/**
 * One scenario: made, asked about before the fault and once a second after it, judged at its time, undone. What the plain
 * reverse search and the rules say of it is asked at the same moment.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { AgentClient } from '../../src/api/client.js';
import type { WhyAnswer } from '../../src/scene/answer.js';
import type { OpenScope } from '../lib/scope.js';
import { judgeBaseline, reverseSearch } from './baseline.js';
import { Dice } from './dice.js';
import { innerScope } from './inner.js';
import { judge, scenesOf, subScenesOf } from './judge.js';
import { CpuAccount, isHeldUp } from './noise.js';
import { type Alarm, type LabResult, type Played, type Said, saidOf } from './result.js';
import { rulesFor } from './rules.js';
import type { OpenSuite, Prepared, Scenario, Truth } from './scenario.js';

/** On a machine many times slower than hardware (an emulated one) everything takes so much longer; see until.ts. */
const PATIENCE = Number(process.env.XCTL_TEST_PATIENCE ?? 1);
const JUDGED_AFTER_MS = 8_000;
const ASK_EVERY_MS = 1_000;
/** What else runs on the machine comes and goes. */
const LOOKS_BEFORE = 3;
/** How often a scenario is played again that the machine itself disturbed. */
const AGAIN = 2;

export interface PlayOptions {
  readonly seed: number;
  readonly where: string;
}

export interface Piece {
  readonly suite: string;
  readonly stage: OpenSuite;
  readonly client: AgentClient;
  readonly scenario: Omit<Scenario, 'prepare'>;
}

export async function play(outer: OpenScope, piece: Piece, options: PlayOptions): Promise<LabResult> {
  const { scenario, suite } = piece;
  const common = {
    scenario: `${suite}/${scenario.name}`,
    seed: options.seed,
    where: options.where,
    kind: scenario.kind,
    severity: scenario.severity,
    proves: scenario.proves ?? [],
  };
  const missing = await scenario.missing?.();
  if (missing !== undefined) return { ...common, outcome: 'skipped', reason: missing };
  for (let tries = 0; ; tries++) {
    const own = innerScope(outer);
    try {
      const played = await playOnce(own, piece, options, tries);
      if (typeof played !== 'string') return { ...common, ...played };
      if (tries >= AGAIN) return { ...common, outcome: 'disturbed', reason: played };
    } catch (error) {
      if (outer.signal.aborted) throw error;
      return { ...common, outcome: 'broken', reason: error instanceof Error ? error.message : String(error) };
    } finally {
      await own.close();
    }
  }
}

type Part = Omit<Played, 'scenario' | 'seed' | 'where' | 'kind' | 'severity' | 'proves'>;

/** A string: how the machine disturbed it. */
async function playOnce(
  scope: OpenScope,
  { scenario, suite, stage, client }: Piece,
  { seed }: PlayOptions,
  tries: number,
): Promise<Part | string> {
  const dice = new Dice(seed, `${suite}/${scenario.name}${tries === 0 ? '' : ` again ${tries}`}`);
  const prepared = await stage.prepare(scenario.name, scope, dice);
  const [pid] = prepared.asked;
  if (pid === undefined) throw new Error('nobody to ask about');
  const accounts = new Map(prepared.asked.map((one) => [one, new CpuAccount(one)]));
  const account = accounts.get(pid) ?? new CpuAccount(pid);
  const alarms = scenario.startsBroken === true ? [] : await alarmsBefore(client, prepared);
  const starvedBefore = alarms.find(isStarved);
  if (starvedBefore !== undefined) {
    const its = accounts.get(starvedBefore.pid) ?? account;
    // A few moments more, so that there is something to hold it against.
    for (let looks = 0; looks < LOOKS_BEFORE; looks++) {
      await sleep(ASK_EVERY_MS, undefined, { signal: scope.signal });
      if (isHeldUp(its.look())) return `the machine had no CPU for it: ${starvedBefore.summary}`;
    }
  }
  account.look();
  await prepared.inject();
  const judgedAfterMs = (scenario.judgedAfterMs ?? JUDGED_AFTER_MS) * PATIENCE;
  const asked = await askUntil(client, pid, prepared, judgedAfterMs, account, scope.signal);
  if (asked.disturbed !== undefined) return `the machine had no CPU for it: ${asked.disturbed}`;
  const { answer, truth } = asked;
  const judgement = judge(truth, answer);
  const root = reverseSearch(await client.graph(), pid);
  const said = saidOf(answer);
  const judgedAlarms =
    truth.causes.length === 0 && judgement.wrongCause ? [alarmOf(pid, 'judged', said)] : [];
  const rules = await rulesFor(client, pid);
  await prepared.heal?.();
  return {
    outcome: 'played',
    scenes: truth.causes.flatMap((cause) => scenesOf(cause).slice(0, 1)),
    subScenes: truth.causes.flatMap((cause) => subScenesOf(cause).slice(0, 1)),
    judged: said,
    alternatives: (answer.alternatives ?? []).map(saidOf),
    judgement,
    delayMs: asked.delayMs,
    judgedAfterMs,
    wrongOnTheWay: asked.wrong,
    alarms: [...alarms, ...judgedAlarms],
    baseline: judgeBaseline(truth, root),
    rules,
  };
}

/** Nothing is wrong with anybody yet. */
async function alarmsBefore(client: AgentClient, { asked }: Prepared): Promise<readonly Alarm[]> {
  const alarms: Alarm[] = [];
  for (const pid of asked) {
    const answer = await client.why(pid);
    if (answer.verdict === 'cause-found') alarms.push(alarmOf(pid, 'before', saidOf(answer)));
  }
  return alarms;
}

export function alarmOf(pid: number, when: Alarm['when'], said: Said): Alarm {
  return { ...said, pid, when };
}

function isStarved({ subScene }: { readonly subScene: string | null }): boolean {
  return subScene === 'CpuStarved';
}

interface Asked {
  readonly answer: WhyAnswer;
  readonly truth: Truth;
  readonly delayMs: number | null;
  readonly wrong: readonly Said[];
  /** It was said to be starved, which it was not meant to be, and the kernel's own account agrees. */
  readonly disturbed: string | undefined;
}

/** Once a second until the time of the judged answer, which is the last. */
async function askUntil(
  client: AgentClient,
  pid: number,
  { truth }: Prepared,
  judgedAfterMs: number,
  account: CpuAccount,
  signal: AbortSignal,
): Promise<Asked> {
  const began = performance.now();
  const wrong: Said[] = [];
  let delayMs: number | null = null;
  let disturbed: string | undefined;
  for (let next = 0; ; next += ASK_EVERY_MS) {
    const at = Math.min(next, judgedAfterMs);
    await sleep(Math.max(0, began + at - performance.now()), undefined, { signal });
    // Right once is soon enough; what is said later is judged at its time.
    if (delayMs !== null && at < judgedAfterMs) continue;
    const answer = await client.why(pid);
    const known = truth();
    const isMeant = known.causes.some((cause) => subScenesOf(cause).includes('CpuStarved'));
    if (isStarved(answer) && !isMeant && isHeldUp(account.look())) disturbed ??= answer.summary;
    const { right, wrongCause } = judge(known, answer);
    if (right) delayMs ??= Math.round(performance.now() - began);
    if (at >= judgedAfterMs) return { answer, truth: known, delayMs, wrong, disturbed };
    if (wrongCause) wrong.push(saidOf(answer));
  }
}
