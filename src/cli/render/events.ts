/** `xctl events`: one line an event, made for reading while it scrolls and for grep. */
import { isDropped, type StreamLine } from '../../api/stream.js';
import type { Style } from '../terminal.js';
import { paint } from './paint.js';
import { padEnd } from './width.js';

const TYPE_WIDTH = 24;

export function renderEvent(line: StreamLine, style: Style): string {
  if (isDropped(line))
    return `${paint(style, 'yellow', `! ${line.dropped} events dropped here: this reader was too slow`)}\n`;
  const { ts, type, entity, pid, value, attrs } = line;
  const who = pid === undefined || entity === `pid:${pid}` ? '' : ` pid=${pid}`;
  const time = paint(style, 'dim', timeOf(ts));
  return `${time} ${padEnd(type, TYPE_WIDTH)} ${entity}${who} value=${value}${attrsText(attrs)}\n`;
}

function timeOf(ts: number): string {
  const date = new Date(ts);
  return Number.isNaN(date.getTime()) ? String(ts) : date.toISOString().slice(11, 23);
}

function attrsText(attrs: Readonly<Record<string, unknown>>): string {
  return Object.entries(attrs)
    .filter(([, value]) => value !== null && value !== '')
    .map(([key, value]) => ` ${key}=${typeof value === 'object' ? JSON.stringify(value) : String(value)}`)
    .join('');
}
