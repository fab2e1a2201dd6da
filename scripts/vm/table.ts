/** The table kernel × program × how it attached × passed, as Markdown: for the terminal and docs/kernels.md. */
import type { AttachReport } from '../../test/vm/attach.js';
import type { ProgramStatus, RungAttempt } from '../../src/kernel/program.js';
import type { StepResult } from './steps.js';
import type { VmKernel } from './kernels.js';

export interface KernelResult {
  readonly kernel: VmKernel;
  readonly report: AttachReport;
  readonly steps: readonly StepResult[];
}

export interface Row {
  /** `tcp/accept`; a whole object as `waits`. */
  readonly program: string;
  /** The rung in use; null when it is off. */
  readonly rung: string | null;
  /** Attached, or the kernel feature that is missing is named; and the tests of its object passed. */
  readonly passed: boolean;
  /** Why it is off, or why a program that is off is no failure. */
  readonly note: string | null;
}

/** Refusals that name what the kernel lacks; any other is a fault of ours. */
const NAMED =
  /\b(no (tracepoint|function|iterator) \S+|no \S+ in this kernel|needs [a-z]|without kprobes|not allowed here)/;

export function rowsOf({ report, steps }: KernelResult): Row[] {
  const broken = new Set(steps.filter(({ ok }) => !ok).flatMap(({ step }) => step.proves));
  const programs = report.programs.map((status): Row => {
    // Loaded, and attached to libraries only when a process that is watched has mapped one.
    if (status.rung === 'other' && status.attempts.length === 0)
      return {
        program: `${status.object}/${status.slot}`,
        rung: 'by file',
        passed: !broken.has(status.object),
        note: null,
      };
    const note = status.attached ? null : reasons(status);
    const excused = status.attached || status.attempts.every(isNamed) || replaced(status, report.programs);
    return {
      program: `${status.object}/${status.slot}`,
      rung: status.attached ? status.rung : null,
      passed: excused && !broken.has(status.object),
      note,
    };
  });
  const objects = Object.entries(report.failures).map(([program, reason]): Row => {
    const note = reason.replace(/^.*?: /, '');
    return { program, rung: null, passed: NAMED.test(note), note };
  });
  return [...programs, ...objects];
}

function objectOf(program: string): string {
  return program.slice(0, program.indexOf('/'));
}

function isNamed(attempt: RungAttempt): boolean {
  return NAMED.test(attempt.reason);
}

/** tcp_late stands in for tcp where senders cannot be seen earlier, and is not loaded elsewhere. */
function replaced(status: ProgramStatus, all: readonly ProgramStatus[]): boolean {
  return (
    status.object === 'tcp_late' &&
    all.some(({ object, slot, attached }) => object === 'tcp' && slot === 'send' && attached)
  );
}

function reasons({ attempts }: ProgramStatus): string {
  return [...new Set(attempts.map(({ rung, reason }) => `${rung}: ${reason}`))].join('; ');
}

/** Lines of a Markdown table, one column a kernel, and a list of why what is off is off. */
export function markdown(results: readonly KernelResult[]): string[] {
  const columns = results.map((result) => ({
    name: `${result.kernel.series} (${result.kernel.version})`,
    rows: new Map(rowsOf(result).map((row) => [row.program, row])),
  }));
  const all = new Set(columns.flatMap(({ rows }) => [...rows.keys()]));
  // An object that did not load on one kernel is shown by its programs where another kernel knows them.
  const known = (object: string): boolean => [...all].some((name) => name.startsWith(`${object}/`));
  const programs = [...all].filter((name) => name.includes('/') || !known(name)).sort();
  const notes: string[] = [];
  const cell = (row: Row | undefined): string => {
    if (row === undefined) return '';
    const verdict = row.passed ? 'ok' : 'FAILED';
    if (row.rung !== null) return `${row.rung} ${verdict}`;
    const note = row.note ?? 'no reason given';
    const index = notes.includes(note) ? notes.indexOf(note) : notes.push(note) - 1;
    return `off ${verdict} [${index + 1}]`;
  };
  const table = [
    ['program', ...columns.map(({ name }) => name)],
    ...programs.map((program) => [
      program,
      ...columns.map(({ rows }) => cell(rows.get(program) ?? rows.get(objectOf(program)))),
    ]),
  ];
  const widths = table[0]?.map((_, at) => Math.max(...table.map((line) => line[at]?.length ?? 0))) ?? [];
  const format = (line: readonly string[]): string =>
    `| ${line.map((text, at) => text.padEnd(widths[at] ?? 0)).join(' | ')} |`;
  const [head = '', ...body] = table.map(format);
  const rule = `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`;
  return [head, rule, ...body, '', ...notes.map((note, at) => `${at + 1}. ${note}`)];
}
