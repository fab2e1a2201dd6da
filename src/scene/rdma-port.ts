/**
 * What is wrong with a port: it is down, it was down when a trouble began, it flaps; and what its counters say where the
 * device counts retries by port alone. What a port counts is of everybody on it.
 */
import type { RdmaCounter } from '../events/rdma.js';
import type { Fact } from '../graph/model.js';
import type { CounterWindow, PortDown, RdmaPortNode } from '../graph/rdma-node.js';
import { FALLS_MS } from '../graph/rdma-ports.js';
import { CONFIDENCE } from './confidence.js';
import type { Fault } from './finding.js';
import { clockText, fallsText, portName, stateName } from './rdma-words.js';
import { duration } from './words.js';

/** A port is found to be down this much later than what it breaks shows, at most. */
const LATE_MS = 3_000;
/** What was lost while it was down is felt for so long after it is up. */
const AFTER_UP_MS = 5_000;
/** So often within ten minutes, and the last time so shortly ago: it flaps. */
const FLAPS = 2;
const FLAPPING_MS = 60_000;
/** Counters: grown in looks so far apart or more, within so long, the last of them so shortly ago. */
const APART_MS = 500;
const SPAN_MS = 15_000;
const FRESH_MS = 7_000;
/** Congestion alone is told every ten seconds. */
const CONGESTION_SPAN_MS = 30_000;
const CONGESTION_FRESH_MS = 13_000;
/** It gives up rarely, so that once is enough, and is news for longer. */
const GAVE_UP_MS = 30_000;
/** CNPs a second that a healthy, loaded fabric does not see. */
const CONGESTED_PER_S = 100;

/** It is down, and was when the trouble `began`. @param quiet nothing is known to be in trouble but the port itself */
export function portDownFault(
  node: RdmaPortNode,
  began: number,
  now: number,
  quiet = false,
): Fault | undefined {
  const { down, fatal } = node;
  if (fatal !== undefined && fatal.ts <= began + LATE_MS) return fatalFault(node, fatal, now);
  if (node.renamed !== undefined) return undefined;
  if (down !== undefined && down.since <= began + LATE_MS) return downFault(node, down, now, quiet);
  return quiet ? undefined : wasDownFault(node, began, now);
}

function fatalFault(node: RdmaPortNode, fatal: Fact, now: number): Fault {
  return {
    node,
    scene: 'NetworkDrop',
    subScene: 'DeviceFatal',
    summary: `the driver gave the device of ${portName(node)} up ${duration(now - fatal.ts)} ago (DEVICE_FATAL)`,
    confidence: CONFIDENCE.rdmaDeviceFatal,
    began: fatal.ts,
    facts: [fatal],
    recommendations: [
      'Read what the driver said (dmesg); the adapter needs a reset, its driver a reload, or it is broken',
      'Move the job off this node until then',
    ],
    strength: 'hard',
    ails: 'device-fatal',
  };
}

function downFault(node: RdmaPortNode, down: PortDown, now: number, quiet: boolean): Fault {
  const count = fallsWithin(node, now);
  const flaps = count >= FLAPS ? `; its link flaps: ${fallsText(recentFalls(node, now), count, now)}` : '';
  const confidence = quiet ? CONFIDENCE.rdmaPortDownQuiet : CONFIDENCE.rdmaPortDown;
  return {
    node,
    scene: 'NetworkDrop',
    subScene: 'PortDown',
    summary: `port ${portName(node)} is ${stateName(node, down)}, for ${duration(now - down.since)}${flaps}`,
    // Down since before anybody looked, it may be meant to be.
    confidence: down.seen ? confidence : confidence * 0.9,
    began: down.since,
    facts: [down.fact],
    recommendations: linkAdvice(node),
    strength: 'hard',
    ails: 'port-down',
  };
}

/** It came back, and what was in flight meanwhile did not. */
function wasDownFault(node: RdmaPortNode, began: number, now: number): Fault | undefined {
  const { lastDown } = node;
  if (lastDown === undefined || !lastDown.seen) return undefined;
  if (lastDown.since > began + LATE_MS || lastDown.until + AFTER_UP_MS < began) return undefined;
  const count = fallsWithin(node, now);
  const flaps = count >= FLAPS;
  const was = `port ${portName(node)} was ${stateName(node, lastDown)} for ${duration(lastDown.until - lastDown.since)} until ${clockText(lastDown.until)}`;
  return {
    node,
    scene: 'NetworkDrop',
    subScene: flaps ? 'LinkFlapping' : 'PortDown',
    summary: flaps ? `${was}; its link flaps: ${fallsText(recentFalls(node, now), count, now)}` : was,
    confidence: CONFIDENCE.rdmaPortWasDown,
    began: lastDown.since,
    facts: [lastDown.fact],
    recommendations: linkAdvice(node),
    strength: 'hard',
    ails: flaps ? 'link-flapping' : 'port-down',
  };
}

/** Up now, and it was down again and again, the last time a moment ago. */
export function flappingFault(node: RdmaPortNode, now: number): Fault | undefined {
  const falls = recentFalls(node, now);
  const [last] = falls.slice(-1);
  const count = fallsWithin(node, now);
  if (last === undefined || count < FLAPS || now - last > FLAPPING_MS) return undefined;
  const { lastDown, port } = node;
  const fact = lastDown?.fact ?? port?.fact;
  return {
    node,
    scene: 'NetworkDrop',
    subScene: 'LinkFlapping',
    summary: `the link of ${portName(node)} flaps: ${fallsText(falls, count, now)}`,
    confidence: CONFIDENCE.rdmaFlapping,
    began: falls[0] ?? last,
    facts: fact === undefined ? [] : [fact],
    recommendations: linkAdvice(node),
    strength: 'hard',
    ails: 'link-flapping',
  };
}

/** Event time of the last of its falls. */
export function lastFall(node: RdmaPortNode): number | undefined {
  return node.falls.at(-1);
}

function recentFalls({ falls }: RdmaPortNode, now: number): readonly number[] {
  return falls.filter((ts) => now - ts <= FALLS_MS);
}

/** The probe may have counted more than it has told the times of. */
function fallsWithin(node: RdmaPortNode, now: number): number {
  const { port } = node;
  const told = port !== undefined && now - port.fact.ts <= FALLS_MS / 2 ? (port.attrs.flaps ?? 0) : 0;
  const seen = recentFalls(node, now).length;
  return seen === 0 ? 0 : Math.max(seen, told);
}

function linkAdvice({ port }: RdmaPortNode): readonly string[] {
  const { netdev, state } = port?.attrs ?? {};
  if (state === 'INIT' || state === 'ARMED')
    return [
      'The link is up and no subnet manager has configured the port: see whether one runs (sminfo, opensm)',
    ];
  return [
    netdev === undefined
      ? 'Check the cable, its transceivers and the switch port: ibstat, iblinkinfo, dmesg'
      : `Check the cable, its transceivers and the switch port: ip link show ${netdev}, ethtool -m ${netdev}, dmesg`,
    'If it flaps, take the port or the node out of service: RDMA connections do not survive it',
  ];
}

/** What the counters of a port say of somebody on it. */
export interface PortTrouble {
  readonly scene: 'NetworkStall' | 'NetworkDrop';
  readonly subScene: 'PathDown' | 'PeerSlow' | null;
  readonly what: string;
  readonly since: number;
  readonly facts: readonly Fact[];
}

/** Trouble that lasts, by its counters. Congestion is none: see congestionOf. */
export function portTrouble({ windows, lastDown }: RdmaPortNode, now: number): PortTrouble | undefined {
  const grown = new Grown(windows, now);
  const gaveUp = grown.once('gaveUp');
  if (gaveUp !== undefined)
    return trouble('NetworkStall', 'PathDown', `gave up ${gaveUp.times}: retries exceeded`, gaveUp);
  const rnrGaveUp = grown.once('rnrGaveUp');
  if (rnrGaveUp !== undefined)
    return trouble(
      'NetworkStall',
      'PeerSlow',
      `gave up ${rnrGaveUp.times}: a peer had no receive posted`,
      rnrGaveUp,
    );
  const rnr = grown.lasting('rnrReceived');
  if (rnr !== undefined)
    return trouble('NetworkStall', 'PeerSlow', `${rnr.total} RNR NAKs: a peer has no receive posted`, rnr);
  const losses = grown.lasting('sequenceErrors', 'outOfOrder');
  const timeouts = grown.lasting('timeouts', 'retries');
  if (losses !== undefined) {
    const more = timeouts === undefined ? '' : `, ${timeouts.total} time-outs`;
    return trouble(
      'NetworkDrop',
      null,
      `${losses.total} packets missing in sequence${more}${linkText(grown)}`,
      losses,
    );
  }
  if (timeouts === undefined) return undefined;
  // After the link was down some is sent again, and that is all.
  if (lastDown !== undefined && timeouts.facts.every(({ ts }) => ts <= lastDown.until + AFTER_UP_MS))
    return undefined;
  return trouble(
    'NetworkStall',
    'PathDown',
    `${timeouts.total} requests without an answer in time${linkText(grown)}`,
    timeouts,
  );
}

function trouble(
  scene: PortTrouble['scene'],
  subScene: PortTrouble['subScene'],
  what: string,
  { facts, since, spanMs }: Growth,
): PortTrouble {
  return { scene, subScene, what: `${what} in the last ${duration(spanMs)}`, since, facts };
}

/** The link itself has errors: a cable, most likely. */
function linkText(grown: Grown): string {
  const errors = grown.once('linkErrors');
  const discards = grown.once('discards');
  const told = [
    errors === undefined ? [] : [`${errors.total} link errors`],
    discards === undefined ? [] : [`${discards.total} discards`],
  ].flat();
  return told.length === 0 ? '' : ` (and ${told.join(', ')})`;
}

/** CNPs and ECN marks: the fabric asks to send slower. That is a way to work, and only a suspicion of anything. */
export function congestionOf({ windows }: RdmaPortNode, now: number): PortTrouble | undefined {
  const found = new Grown(windows, now).congested('cnpHandled', 'ecnMarked', 'cnpSent');
  if (found === undefined) return undefined;
  const perSecond = found.total / Math.max(1, found.spanMs / 1_000);
  if (perSecond < CONGESTED_PER_S) return undefined;
  const what = `${Math.round(perSecond)} congestion notifications a second`;
  return { scene: 'NetworkStall', subScene: null, what, since: found.since, facts: found.facts };
}

interface Growth {
  readonly total: number;
  readonly times: string;
  readonly since: number;
  readonly spanMs: number;
  readonly facts: readonly Fact[];
}

/** By how much counters have grown of late. */
class Grown {
  readonly #windows: readonly CounterWindow[];
  readonly #now: number;

  constructor(windows: readonly CounterWindow[], now: number) {
    this.#windows = windows;
    this.#now = now;
  }

  once(...names: readonly RdmaCounter[]): Growth | undefined {
    return this.#sum(names, GAVE_UP_MS);
  }

  /** In one look after the other: a single burst is over. */
  lasting(...names: readonly RdmaCounter[]): Growth | undefined {
    return this.#lasting(names, SPAN_MS, FRESH_MS);
  }

  congested(...names: readonly RdmaCounter[]): Growth | undefined {
    return this.#lasting(names, CONGESTION_SPAN_MS, CONGESTION_FRESH_MS);
  }

  #lasting(names: readonly RdmaCounter[], withinMs: number, freshMs: number): Growth | undefined {
    const found = this.#sum(names, withinMs);
    const [first, last] = [found?.facts[0], found?.facts.at(-1)];
    if (first === undefined || last === undefined || last.ts - first.ts < APART_MS) return undefined;
    return this.#now - last.ts > freshMs ? undefined : found;
  }

  #sum(names: readonly RdmaCounter[], withinMs: number): Growth | undefined {
    let total = 0;
    const those = this.#windows.filter(({ ts, grew }) => {
      if (this.#now - ts > withinMs) return false;
      const by = names.reduce((sum, name) => sum + Math.max(0, grew[name] ?? 0), 0);
      total += by;
      return by > 0;
    });
    const [first] = those;
    if (first === undefined) return undefined;
    const since = first.ts - first.windowMs;
    return {
      total,
      times: total === 1 ? 'once' : `${total} times`,
      since,
      spanMs: Math.max(1, this.#now - since),
      facts: those.map(({ fact }) => fact),
    };
  }
}
