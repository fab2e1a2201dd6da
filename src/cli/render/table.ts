/** Tables as kubectl prints them: upper-case heads, two spaces, no lines, the last column as long as it is. */
import type { Style } from '../terminal.js';
import { cut, padEnd, padStart, widthOf } from './width.js';

export interface Column<R> {
  readonly head: string;
  readonly cell: (row: R) => string;
  readonly align?: 'right';
  /** Gives up columns first when the terminal is too narrow, down to this many. */
  readonly shrinkTo?: number;
}

const GAP = '  ';

export function table<R>(rows: readonly R[], columns: readonly Column<R>[], style: Style): string {
  const lines = [
    columns.map((column) => column.head),
    ...rows.map((row) => columns.map((column) => column.cell(row))),
  ];
  const widths = fit(
    columns,
    columns.map((_, at) => Math.max(...lines.map((line) => widthOf(line[at] ?? '')))),
    style.tableWidth,
  );
  const mark = style.unicode ? '…' : '~';
  return lines
    .map((line) => {
      const cells = columns.map((column, at) => {
        const width = widths[at] ?? 0;
        const text = cut(line[at] ?? '', width, mark);
        return column.align === 'right' ? padStart(text, width) : padEnd(text, width);
      });
      return `${cells.join(GAP).trimEnd()}\n`;
    })
    .join('');
}

function fit<R>(columns: readonly Column<R>[], natural: readonly number[], room: number): readonly number[] {
  const widths = [...natural];
  let over = widths.reduce((sum, width) => sum + width, 0) + GAP.length * (columns.length - 1) - room;
  for (const [at, column] of columns.entries()) {
    const width = widths[at] ?? 0;
    if (over <= 0) break;
    if (column.shrinkTo === undefined) continue;
    const given = Math.min(over, Math.max(0, width - column.shrinkTo));
    widths[at] = width - given;
    over -= given;
  }
  return widths;
}
