/**
 * The chain as a tree: from the process asked about down to the cause. In front of each step stands since when and for
 * how long, in columns where there is room, so that the eye can compare them; below it what the step says, and its proof.
 */
import type { ChainLink } from '../../scene/answer.js';
import { duration } from '../../scene/words.js';
import { assertNever } from '../../util/errors.js';
import type { Style } from '../terminal.js';
import { sinceTime } from './format.js';
import { paint } from './paint.js';
import { padEnd, padStart, widthOf, wrap } from './width.js';

export interface ChainOptions {
  readonly root: string;
  /** What the root is called: `pid:4242 python3`. */
  readonly rootLabel: string;
  /** Node to mark as the cause. */
  readonly cause: string | null;
  /** Time of the answer, RFC 3339: lengths are up to then. */
  readonly ts: string;
}

/** Below this many columns the times go into the text. */
const COLUMNS_FROM = 72;
/** A step is indented by this, and by less where the chain is so long that it would leave no room. */
const STEP = 3;
/** Of the width: what indentation may take. */
const MAX_INDENT_PART = 1 / 3;
const MIN_TEXT = 20;

/** Lines without their ends. */
export function chainTree(
  chain: readonly ChainLink[],
  options: ChainOptions,
  style: Style,
): readonly string[] {
  const byFrom = new Map<string, ChainLink[]>();
  for (const link of chain) {
    const known = byFrom.get(link.from);
    if (known === undefined) byFrom.set(link.from, [link]);
    else known.push(link);
  }
  const drawing: Drawing = {
    byFrom,
    shown: new Set(),
    options,
    style,
    times: style.width >= COLUMNS_FROM ? columnsOf(chain, options.ts) : undefined,
    step: stepOf(byFrom, options.root, style),
  };
  const lines = tree(options.root, options.rootLabel, drawing);
  // Links that do not hang from the process asked about are facts too.
  for (const link of chain)
    if (!drawing.shown.has(link.from)) lines.push(...tree(link.from, link.from, drawing));
  return lines;
}

/** Widths of the columns in front of the tree. */
interface Times {
  readonly since: number;
  readonly length: number;
}

interface Drawing {
  readonly byFrom: ReadonlyMap<string, readonly ChainLink[]>;
  /** Nodes whose links are printed already: a cycle, or two ways to one node. */
  readonly shown: Set<string>;
  readonly options: ChainOptions;
  readonly style: Style;
  readonly times: Times | undefined;
  readonly step: number;
}

const GAP = '  ';

function columnsOf(chain: readonly ChainLink[], ts: string): Times {
  return {
    since: Math.max(...chain.map(({ sinceMs }) => sinceTime(ts, sinceMs).length)),
    length: Math.max(...chain.map(({ sinceMs }) => duration(sinceMs).length)),
  };
}

function stepOf(byFrom: Drawing['byFrom'], root: string, style: Style): number {
  const room = style.width * MAX_INDENT_PART;
  const depth = depthOf(byFrom, root);
  return Math.max(1, Math.min(STEP, Math.floor(room / Math.max(1, depth))));
}

function depthOf(byFrom: Drawing['byFrom'], root: string): number {
  const seen = new Set([root]);
  let level = [root];
  let depth = 0;
  while (level.length > 0) {
    const next: string[] = [];
    for (const node of level) {
      for (const { to } of byFrom.get(node) ?? []) {
        if (seen.has(to)) continue;
        seen.add(to);
        next.push(to);
      }
    }
    level = next;
    depth++;
  }
  return depth;
}

function tree(root: string, label: string, drawing: Drawing): string[] {
  const { times, style } = drawing;
  const name = paint(style, 'bold', label);
  return [
    ...withCause(
      [`${front(undefined, times)}${name}`],
      widthOf(front(undefined, times) + label),
      root,
      '',
      drawing,
    ),
    ...branches(root, '', drawing),
  ];
}

function branches(node: string, indent: string, drawing: Drawing): string[] {
  const { byFrom, shown } = drawing;
  shown.add(node);
  const links = byFrom.get(node) ?? [];
  return links.flatMap((link, at) => {
    const marks = marksOf(at === links.length - 1, drawing);
    const seen = shown.has(link.to);
    const again = seen && (byFrom.get(link.to) ?? []).length > 0;
    const room = indent.length < drawing.style.width * MAX_INDENT_PART;
    return [
      ...step(link, again, indent, marks, drawing),
      ...(seen ? [] : branches(link.to, room ? indent + marks.pass : indent, drawing)),
    ];
  });
}

interface Marks {
  readonly branch: string;
  /** In front of what hangs from this step. */
  readonly pass: string;
  /** In front of the step's own further lines. */
  readonly more: string;
}

/** One step: what it leads to, and below it what it says. */
function step(link: ChainLink, again: boolean, indent: string, marks: Marks, drawing: Drawing): string[] {
  const { times, style, options } = drawing;
  const blank = front(undefined, times);
  const more = `${blank}${indent}${marks.more}`;
  const room = Math.max(MIN_TEXT, style.width - widthOf(more));
  const inline =
    times === undefined
      ? `, for ${duration(link.sinceMs)} (since ${sinceTime(options.ts, link.sinceMs)})`
      : '';
  const proof = link.evidence.length === 0 ? '' : ` [${link.evidence.join(' ')}]`;
  const note = noteOf(link);
  const circle = again ? ', which is above: a cycle' : '';
  const head = wrap(`${headOf(link)}${circle}${inline}${note === '' ? proof : ''}`, room);
  const first = `${paint(style, 'dim', front(link, times, options.ts))}${indent}${marks.branch}`;
  const lines = head.map((line, row) => (row === 0 ? first : more) + line);
  const used = widthOf(more) + widthOf(head.at(-1) ?? '');
  return [
    ...withCause(lines, used, isAilment(link) ? undefined : link.to, more, drawing),
    ...(note === '' ? [] : wrap(note + proof, room).map((line) => more + line)),
  ];
}

/** `lines`, with the mark behind the last of them, or below it where there is no room. */
function withCause(
  lines: readonly string[],
  used: number,
  node: string | undefined,
  more: string,
  { options, style }: Drawing,
): string[] {
  if (node === undefined || node !== options.cause) return [...lines];
  const text = style.unicode ? '◀ CAUSE' : '<- CAUSE';
  const mark = paint(style, 'red', text);
  const last = lines.at(-1) ?? '';
  return used + GAP.length + widthOf(text) <= style.width
    ? [...lines.slice(0, -1), `${last}${GAP}${mark}`]
    : [...lines, `${more}${mark}`];
}

/** The columns in front of a line; blank where it is no step's first. */
function front(link: ChainLink | undefined, times: Times | undefined, ts = ''): string {
  if (times === undefined) return '';
  const since = link === undefined ? '' : sinceTime(ts, link.sinceMs);
  const length = link === undefined ? '' : duration(link.sinceMs);
  return `${GAP}${padEnd(since, times.since)}${GAP}${padStart(length, times.length)}${GAP}`;
}

function headOf(link: ChainLink): string {
  return isAilment(link) ? `what is wrong with it: ${link.note ?? link.to}` : `${verb(link)} ${link.to}`;
}

/** The last link of a chain to a thing: `block:nvme0n1 BlockedBy error:latency/block:nvme0n1`. */
function isAilment({ from, to }: ChainLink): boolean {
  return to.startsWith('error:') && to.endsWith(`/${from}`);
}

function noteOf(link: ChainLink): string {
  const { note = '', tid } = link;
  if (isAilment(link)) return '';
  const isMain = link.from === `pid:${tid}`;
  const thread = tid === undefined || isMain || note.includes(String(tid)) ? '' : `thread ${tid} `;
  return `${thread}${note}`.trim();
}

function verb(link: ChainLink): string {
  switch (link.edge) {
    case 'WaitsOn':
      return 'waits on';
    case 'BlockedBy':
      return 'blocked by';
    case 'Consumes':
      return 'uses';
    default:
      return assertNever(link.edge);
  }
}

function marksOf(isLast: boolean, { style, step }: Drawing): Marks {
  const [corner, tee, bar] = style.unicode ? ['└─ ', '├─ ', '│'] : ['`- ', '|- ', '|'];
  const below = isLast ? ' ' : bar;
  return {
    branch: isLast ? corner : tee,
    pass: below + ' '.repeat(step - 1),
    more: below + ' '.repeat(STEP - 1),
  };
}
