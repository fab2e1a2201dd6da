/** `xctl doctor`: one line a check, then the sum. */
import type { Check, DoctorReport } from '../../api/contract.js';
import type { Style } from '../terminal.js';
import { type Paint, paint } from './paint.js';
import { hang, padEnd, widthOf } from './width.js';

const COLORS: Readonly<Record<Check['status'], Paint>> = {
  ok: 'green',
  degraded: 'yellow',
  failed: 'red',
  off: 'dim',
};
const STATUSES = ['ok', 'degraded', 'failed', 'off'] as const;
const STATUS_WIDTH = 'degraded'.length;

export function renderDoctor({ checks }: DoctorReport, style: Style): string {
  const nameWidth = Math.max(0, ...checks.map((check) => widthOf(check.name)));
  const lines = checks.flatMap((check) => {
    const first = `${padEnd(check.status, STATUS_WIDTH)}  ${padEnd(check.name, nameWidth)}  `;
    const [head = '', ...rest] = hang(first, ' '.repeat(widthOf(first)), check.detail, style.width);
    const status = paint(style, COLORS[check.status], check.status);
    return [`${status}${head.slice(check.status.length)}`.trimEnd(), ...rest];
  });
  return `${[...lines, '', sum(checks)].join('\n')}\n`;
}

function sum(checks: readonly Check[]): string {
  return STATUSES.map(
    (status) => `${checks.filter((check) => check.status === status).length} ${status}`,
  ).join(', ');
}
