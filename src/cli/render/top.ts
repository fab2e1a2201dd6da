/** `xctl top`: what is wrong on this node in a line each, and below it the processes, those concerned first. */
import type { ProcessList, ProcessRow } from '../../api/contract.js';
import type { Findings, WhyAnswer } from '../../scene/answer.js';
import { duration } from '../../scene/words.js';
import { assertNever } from '../../util/errors.js';
import type { Style } from '../terminal.js';
import { dateTime, sureness } from './format.js';
import { paint } from './paint.js';
import { type Column, table } from './table.js';
import { sceneOf } from './verdict.js';
import { nameOf } from './why.js';
import { cut, widthOf } from './width.js';

export const ORDERS = ['trouble', 'wait', 'pid', 'name'] as const;
export type Order = (typeof ORDERS)[number];

export interface TopState {
  readonly ps: ProcessList;
  readonly findings: Findings;
  readonly order: Order;
  /** First process that is shown. */
  readonly offset: number;
  /** Why the figures are old, or missing. */
  readonly problem: string | undefined;
}

/** Without a size everything is shown, each line as long as it is. */
export interface TopSize {
  readonly columns: number;
  readonly rows: number;
}

export interface TopPicture {
  readonly lines: readonly string[];
  /** Processes that there is room for. */
  readonly page: number;
  /** The last `offset` that makes sense. */
  readonly lastOffset: number;
}

/** Of the screen: what findings may take when there are many. */
const FINDINGS_PART = 0.4;

export function renderTop(state: TopState, style: Style, size?: TopSize): TopPicture {
  const { ps, findings, problem } = state;
  const columns = size?.columns ?? Number.POSITIVE_INFINITY;
  const fit = (line: string): string => cut(line, columns, style.unicode ? '…' : '~');
  const head = [
    paint(style, 'bold', fit(titleOf(state))),
    ...(problem === undefined ? [] : [paint(style, 'yellow', fit(`! ${problem}`))]),
    '',
  ];
  const most =
    size === undefined ? findings.findings.length : Math.max(1, Math.floor(size.rows * FINDINGS_PART));
  const wrong = findingLines(findings, most, style).map(fit);
  const foot = size === undefined ? [] : [paint(style, 'dim', fit(footOf(state)))];
  // One line each for the heads of the table and the blank line above it.
  const page = Math.max(
    0,
    (size?.rows ?? Number.POSITIVE_INFINITY) - head.length - wrong.length - foot.length - 2,
  );
  const numbers = numbersOf(findings);
  const sorted = [...ps.processes].sort(comparing(state.order, numbers));
  const lastOffset = Math.max(0, sorted.length - page);
  const offset = Math.min(state.offset, lastOffset);
  const shown = Number.isFinite(page) ? sorted.slice(offset, offset + page) : sorted;
  const [heads = '', ...rows] = table(shown, columnsFor(numbers), { ...style, tableWidth: columns })
    .trimEnd()
    .split('\n');
  const body = [
    paint(style, 'dim', fit(heads)),
    ...rows.map((row, at) => paintRow(fit(row), shown[at], numbers, style)),
  ];
  const used = head.length + wrong.length + 1 + body.length;
  const gap =
    size === undefined ? [] : Array.from({ length: Math.max(0, size.rows - used - foot.length) }, () => '');
  const lines = [...head, ...wrong, '', ...body, ...gap, ...foot];
  return { lines: size === undefined ? lines : squeezed(lines, size.rows), page, lastOffset };
}

/** On a screen of a few rows the findings matter most. */
function squeezed(lines: readonly string[], rows: number): readonly string[] {
  if (lines.length <= rows) return lines;
  return lines.filter((line) => line !== '').slice(0, rows);
}

function titleOf({ ps, findings }: TopState): string {
  const waiting = ps.processes.filter(({ sinceMs }) => sinceMs !== null && sinceMs >= 1_000).length;
  const wrong = findings.findings.length === 0 ? 'nothing is wrong' : `${findings.findings.length} wrong`;
  return `xctl top  ${ps.node}  ${dateTime(newest(ps.ts, findings.ts))}  ${wrong}; ${ps.processes.length} processes, ${waiting} wait for 1 s and more`;
}

function newest(a: string, b: string): string {
  return a > b ? a : b;
}

function footOf({ order }: TopState): string {
  return `q leaves  up/down scrolls  s sorts (by ${order})  xctl why PID says more`;
}

function findingLines({ findings }: Findings, most: number, style: Style): readonly string[] {
  if (findings.length === 0) return ['Nothing is wrong, as far as the probes can see.'];
  const shown = findings.length <= most ? findings : findings.slice(0, Math.max(1, most - 1));
  const width = Math.max(...shown.map((answer) => widthOf(sceneOf(answer))));
  const digits = String(shown.length).length;
  const lines = shown.map((answer, at) => {
    const scene = sceneOf(answer);
    const mark = style.unicode ? '✗' : 'x';
    return `${String(at + 1).padStart(digits)} ${mark} ${scene}${' '.repeat(width - widthOf(scene))}  ${sureness(answer.confidence)}  ${nameOf(answer)}: ${answer.summary}`;
  });
  const more = findings.length - shown.length;
  return more === 0 ? lines : [...lines, `  and ${more} more: xctl why`];
}

type Numbers = ReadonlyMap<number, number>;

/** Which finding a process belongs to: the first that is about it or leads over it. */
function numbersOf({ findings }: Findings): Numbers {
  const numbers = new Map<number, number>();
  for (const [at, answer] of findings.entries())
    for (const pid of pidsOf(answer)) if (!numbers.has(pid)) numbers.set(pid, at + 1);
  return numbers;
}

function pidsOf({ target, chain, rootCause }: WhyAnswer): readonly number[] {
  const nodes = [...chain.flatMap(({ from, to }) => [from, to]), rootCause?.node ?? ''];
  return [target.pid, ...nodes.flatMap((id) => (id.startsWith('pid:') ? [Number(id.slice(4))] : []))];
}

function comparing(order: Order, numbers: Numbers): (a: ProcessRow, b: ProcessRow) => number {
  switch (order) {
    case 'trouble':
      return (a, b) => rankOf(a, numbers) - rankOf(b, numbers) || waitOf(b) - waitOf(a) || a.pid - b.pid;
    case 'wait':
      return (a, b) => waitOf(b) - waitOf(a) || a.pid - b.pid;
    case 'pid':
      return (a, b) => a.pid - b.pid;
    case 'name':
      return (a, b) => (a.comm < b.comm ? -1 : a.comm > b.comm ? 1 : a.pid - b.pid);
    default:
      return assertNever(order);
  }
}

const RANK = { finding: 0, exited: 1_000, job: 1_001, other: 1_002 } as const;

/** Of a finding, in the order of these; what has ended; what belongs to a job; the rest. */
function rankOf(row: ProcessRow, numbers: Numbers): number {
  const number = numbers.get(row.pid);
  if (number !== undefined) return RANK.finding + number;
  if (row.state === 'exited') return RANK.exited;
  return row.job === null ? RANK.other : RANK.job;
}

function waitOf({ sinceMs }: ProcessRow): number {
  return sinceMs ?? -1;
}

const NONE = '-';
/** So that columns do not jump from one look to the next. */
const PID_WIDTH = 7;
const SINCE_WIDTH = 10;

function columnsFor(numbers: Numbers): readonly Column<ProcessRow>[] {
  return [
    { head: '#', align: 'right', cell: ({ pid }) => String(numbers.get(pid) ?? '') },
    { head: 'PID', align: 'right', cell: ({ pid }) => String(pid).padStart(PID_WIDTH) },
    { head: 'COMMAND', cell: ({ comm }) => (comm || NONE).padEnd(15), shrinkTo: 6 },
    { head: 'RANK', align: 'right', cell: ({ rank }) => (rank === null ? NONE : String(rank)) },
    { head: 'THREADS', align: 'right', cell: ({ threads }) => String(threads) },
    {
      head: 'SINCE',
      align: 'right',
      cell: ({ sinceMs }) => (sinceMs === null ? NONE : duration(sinceMs)).padStart(SINCE_WIDTH),
    },
    { head: 'WAITS-FOR', cell: ({ waitsFor }) => waitsFor || NONE, shrinkTo: 8 },
  ];
}

function paintRow(line: string, row: ProcessRow | undefined, numbers: Numbers, style: Style): string {
  return row !== undefined && numbers.has(row.pid) ? paint(style, 'red', line) : line;
}
