/**
 * Healthy and decoy load for as long as it is asked for: nothing of it may be called a fault, neither in the answer for a
 * process nor in what is wrong on the node. Several scenarios run beside each other, each for a round, and come back with
 * other throws of the dice. What is found of processes that are not the lab's is counted apart: it may well be true.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { AgentClient } from '../../src/api/client.js';
import { startAgent } from '../lib/agent.js';
import { openScope, type OpenScope } from '../lib/scope.js';
import { Dice } from './dice.js';
import { SOAK_FILE } from './document.js';
import { innerScope } from './inner.js';
import { CpuAccount, isHeldUp } from './noise.js';
import { alarmOf } from './play.js';
import { type Alarm, saidOf } from './result.js';
import type { OpenSuite, Scenario, Suite } from './scenario.js';

const ROUND_MS = 60_000;
const ASK_EVERY_MS = 5_000;
/** At a time. */
const BESIDE = 5;
const QUESTION_MS = 20_000;

export interface SoakResult {
  readonly minutes: number;
  /** For single processes, and of what is wrong on the node. */
  readonly answers: number;
  readonly lists: number;
  readonly alarms: readonly (Alarm & { readonly scenario: string })[];
  /** Starved of CPU by the kernel's own account as well. */
  readonly starved: number;
  /** Findings of processes that are not the lab's. */
  readonly elsewhere: number;
}

interface Player {
  readonly name: string;
  readonly scenario: Omit<Scenario, 'prepare'>;
  readonly stage: OpenSuite;
}

interface Guest {
  readonly name: string;
  readonly pids: readonly number[];
  readonly accounts: ReadonlyMap<number, CpuAccount>;
}

/** Whether there was no false alarm. */
export async function soak(
  suites: readonly Suite[],
  minutes: number,
  wanted: (name: string) => boolean,
): Promise<boolean> {
  if (!(minutes > 0)) throw new Error('SOAK: minutes, more than none');
  const scope = openScope();
  try {
    const agent = await startAgent(scope);
    const client = new AgentClient({ socketPath: agent.socket, timeoutMs: QUESTION_MS });
    const players = await playersOf(suites, scope, { agent }, wanted);
    if (players.length < 1) throw new Error('no healthy or decoy scenario is wanted');
    const tally = {
      answers: 0,
      lists: 0,
      starved: 0,
      elsewhere: 0,
      alarms: [] as SoakResult['alarms'][number][],
    };
    const endMs = performance.now() + minutes * 60_000;
    for (let round = 0; performance.now() < endMs && !scope.signal.aborted; round++) {
      const chosen = Array.from(
        { length: BESIDE },
        (_, at) => players[(round * BESIDE + at) % players.length],
      );
      const own = innerScope(scope);
      try {
        const guests = await settle(own, new Set(chosen), round);
        const roundEndMs = Math.min(endMs, performance.now() + ROUND_MS);
        while (performance.now() < roundEndMs && !scope.signal.aborted) {
          await sleep(ASK_EVERY_MS, undefined, { signal: scope.signal });
          const known = tally.alarms.length;
          await look(client, guests, tally);
          for (const alarm of tally.alarms.slice(known)) console.error(JSON.stringify(alarm));
        }
      } finally {
        await own.close();
      }
      console.error(
        `  ${Math.max(0, Math.round((endMs - performance.now()) / 60_000))} min left: ${tally.alarms.length} false alarms in ${tally.answers} answers`,
      );
    }
    const result: SoakResult = { minutes, ...tally };
    mkdirSync(dirname(SOAK_FILE), { recursive: true });
    writeFileSync(SOAK_FILE, `${JSON.stringify(result, null, 1)}\n`);
    const { alarms, ...counts } = result;
    console.log(JSON.stringify({ ...counts, alarms: alarms.length }));
    for (const { scenario, summary, confidence } of alarms)
      console.log(`${scenario}: ${confidence} ${summary}`);
    return alarms.length === 0;
  } finally {
    await scope.close();
  }
}

/** Those on the lab's own agent with which nothing is wrong, and that may run beside others. */
async function playersOf(
  suites: readonly Suite[],
  scope: OpenScope,
  lab: { readonly agent: Awaited<ReturnType<typeof startAgent>> },
  wanted: (name: string) => boolean,
): Promise<readonly Player[]> {
  const players: Player[] = [];
  for (const suite of suites) {
    if (suite.ownStage || (await suite.missing()) !== undefined) continue;
    const stage = await suite.open(scope, () => Promise.resolve(lab));
    for (const scenario of suite.scenarios) {
      const name = `${suite.name}/${scenario.name}`;
      const isQuiet = scenario.kind === 'healthy' || scenario.kind === 'decoy';
      if (!isQuiet || scenario.alone === true || scenario.startsBroken === true || !wanted(name)) continue;
      if ((await scenario.missing?.()) !== undefined) continue;
      players.push({ name, scenario, stage });
    }
  }
  return players;
}

async function settle(
  scope: OpenScope,
  chosen: ReadonlySet<Player | undefined>,
  round: number,
): Promise<readonly Guest[]> {
  const guests: Guest[] = [];
  for (const player of chosen) {
    if (player === undefined) continue;
    const dice = new Dice(round, `soak ${player.name}`);
    const prepared = await player.stage.prepare(player.scenario.name, scope, dice);
    await prepared.inject();
    const { causes, verdicts = ['healthy'] } = prepared.truth();
    // Of some decoys the one asked about has a cause after all, and others end in something that is no alarm.
    if (causes.length > 0 || verdicts.includes('cause-found')) continue;
    const pids = prepared.asked.filter((pid) => prepared.hit?.includes(pid) !== true);
    guests.push({
      name: player.name,
      pids,
      accounts: new Map(pids.map((pid) => [pid, new CpuAccount(pid)])),
    });
  }
  return guests;
}

async function look(
  client: AgentClient,
  guests: readonly Guest[],
  tally: {
    answers: number;
    lists: number;
    starved: number;
    elsewhere: number;
    alarms: (Alarm & { scenario: string })[];
  },
): Promise<void> {
  const owners = new Map(guests.flatMap((guest) => guest.pids.map((pid) => [pid, guest] as const)));
  const add = (pid: number, answer: Awaited<ReturnType<AgentClient['why']>>): void => {
    const guest = owners.get(pid);
    const share = guest?.accounts.get(pid)?.look() ?? 0;
    if (answer.verdict !== 'cause-found') return;
    if (answer.subScene === 'CpuStarved' && isHeldUp(share)) tally.starved++;
    else if (guest === undefined) tally.elsewhere++;
    else tally.alarms.push({ scenario: guest.name, ...alarmOf(pid, 'soak', saidOf(answer)) });
  };
  for (const pid of owners.keys()) {
    add(pid, await client.why(pid));
    tally.answers++;
  }
  for (const finding of (await client.findings()).findings) add(finding.target.pid, finding);
  tally.lists++;
}
