/** `xctl ps`. */
import type { ProcessList, ProcessRow } from '../../api/contract.js';
import { duration } from '../../scene/words.js';
import type { Style } from '../terminal.js';
import { type Column, table } from './table.js';

const NONE = '-';
/** As long as container tools print them. */
const CONTAINER_ID_LENGTH = 12;

const COLUMNS: readonly Column<ProcessRow>[] = [
  { head: 'PID', align: 'right', cell: (row) => String(row.pid) },
  { head: 'PPID', align: 'right', cell: (row) => String(row.ppid) },
  { head: 'COMMAND', cell: (row) => row.comm || NONE, shrinkTo: 8 },
  { head: 'STATE', cell: (row) => row.state },
  { head: 'THREADS', align: 'right', cell: (row) => String(row.threads) },
  { head: 'SINCE', align: 'right', cell: (row) => (row.sinceMs === null ? NONE : duration(row.sinceMs)) },
  { head: 'JOB', cell: (row) => row.job ?? NONE, shrinkTo: 8 },
  { head: 'RANK', align: 'right', cell: (row) => (row.rank === null ? NONE : String(row.rank)) },
  { head: 'CONTAINER', cell: (row) => row.container?.slice(0, CONTAINER_ID_LENGTH) ?? NONE },
  { head: 'WAITS-FOR', cell: (row) => row.waitsFor || NONE, shrinkTo: 12 },
];

export function renderPs({ processes }: ProcessList, style: Style): string {
  return table(processes, COLUMNS, style);
}
