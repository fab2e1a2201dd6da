/**
 * docs/kernels.md holds the table as it was last measured on every kernel. A program that it has as attached
 * and that is off now is a loss that nobody meant.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { type KernelResult, markdown, rowsOf } from './table.js';

const BEGIN = '<!-- measured by `make test-vm UPDATE=yes` -->';
const END = '<!-- end -->';

/** Lines that say what has been lost. */
export function losses(path: string, results: readonly KernelResult[]): string[] {
  const lines = measured(readFileSync(path, 'utf8')).split('\n');
  const cells = lines
    .filter((line) => line.startsWith('| '))
    .map((line) => line.split('|').map((cell) => cell.trim()));
  const [head = [], ...body] = cells;
  return results.flatMap((result) => {
    const { series } = result.kernel;
    const column = head.findIndex((name) => name.startsWith(`${series} `));
    const rows = rowsOf(result);
    if (column < 0) return [];
    return body.flatMap((line) => {
      const [, program = ''] = line;
      const [rung = 'off'] = (line[column] ?? '').split(' ');
      const row = rows.find((one) => one.program === program);
      // A program that is gone is nobody's loss; one that is off now is.
      if (row === undefined || rung === 'off' || rung === '' || row.rung !== null) return [];
      return [`${program} on ${series}: ${path} has it attached by ${rung}, it is off (${row.note ?? '?'})`];
    });
  });
}

/** Puts the table of these results into the document. */
export function update(path: string, results: readonly KernelResult[]): void {
  const text = readFileSync(path, 'utf8');
  const table = `${BEGIN}\n\n${markdown(results).join('\n')}\n\n${END}`;
  writeFileSync(
    path,
    text.replace(`${BEGIN}${measured(text)}${END}`, () => table),
  );
}

function measured(text: string): string {
  const from = text.indexOf(BEGIN);
  const to = text.indexOf(END);
  if (from < 0 || to < from) throw new Error(`docs/kernels.md has no ${BEGIN} … ${END}`);
  return text.slice(from + BEGIN.length, to);
}
