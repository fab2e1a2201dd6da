/**
 * `xctl diag PID` for a tired person, in two parts. What is known on this node comes at once: the cause, the rule or case
 * that explains it, the chain, the proof, what to do. What others said, and who was asked, comes below it when it is there.
 */
import type { CaseHit } from '../../diag/case.js';
import type {
  Claim,
  Diagnosis,
  DiagnosisStep,
  ModelAnswer,
  PostsSeen,
  SourceReport,
} from '../../diag/diagnosis.js';
import type { RuleHit } from '../../rules/model.js';
import type { Finding } from '../../scene/answer.js';
import { assertNever } from '../../util/errors.js';
import type { Style } from '../terminal.js';
import { count, duration } from '../../scene/words.js';
import { dateTime, quantity, sureness } from './format.js';
import { type Row, rows, section } from './section.js';
import { sceneOf } from './verdict.js';
import { causeBlock, chainSection, evidenceSection } from './why.js';
import { hang, wrap } from './width.js';

/** All that needed nobody but this node. */
export function renderKnown(diagnosis: Diagnosis, style: Style): string {
  const { why, rules } = diagnosis;
  const own = rules.filter(({ finding }) => finding === 0);
  const cases = isRemote(diagnosis) ? [] : diagnosis.cases;
  const evidence = [...why.evidence, ...own.flatMap((hit) => hit.evidence)];
  const lines = [
    ...causeBlock(why, why, style),
    ...own.slice(0, 1).flatMap((hit) => ruleSection(hit, style)),
    ...cases.slice(0, 1).flatMap((hit) => caseSection(hit, style)),
    ...chainSection(why, why, style),
    ...evidenceSection({ ...why, evidence }, why, style),
    ...postsSection(diagnosis.posts, style),
    ...section('What to do', steps(knownSteps(diagnosis), style), style),
    ...section('Also true', alsoTrue(diagnosis, own, cases, style), style),
  ];
  return `${lines.join('\n')}\n`;
}

/** What was asked of others, and who was asked at all. */
export function renderAsked(diagnosis: Diagnosis, style: Style): string {
  const { cases, model, sources } = diagnosis;
  const remote = isRemote(diagnosis) ? cases : [];
  const lines = [
    ...remote.flatMap((hit) => [
      ...caseSection(hit, style),
      ...section('What helped there', steps(hit.steps.map(prose), style), style),
    ]),
    ...(model === null ? [] : modelSections(model, style)),
    ...section('Who was asked', rows(sources.map(sourceRow), style), style),
  ];
  return `${lines.join('\n')}\n`;
}

export function renderDiagnosis(diagnosis: Diagnosis, style: Style): string {
  return renderKnown(diagnosis, style) + renderAsked(diagnosis, style);
}

function isRemote({ sources }: Diagnosis): boolean {
  return sources.some(({ source, state }) => source === 'qdrant' && state === 'used');
}

/** Steps that stand on what this node knows: the diagnosis has a model's further ones behind them. */
function knownSteps(diagnosis: Diagnosis): readonly DiagnosisStep[] {
  const isLocal =
    diagnosis.answeredBy === 'rules' || (diagnosis.answeredBy === 'knowledge' && !isRemote(diagnosis));
  return isLocal ? diagnosis.steps : diagnosis.why.recommendations.map(prose);
}

function prose(text: string): DiagnosisStep {
  return { text, run: null, risk: null };
}

function ruleSection(hit: RuleHit, style: Style): readonly string[] {
  const held = hit.conditions.flatMap(({ text, evidence }) =>
    hang('  - ', '    ', `${text}${ids(evidence)}`, style.width),
  );
  const unchecked =
    hit.unchecked.length === 0
      ? []
      : hang('  ! ', '    ', `not known here, but needed: ${hit.unchecked.join(', ')}`, style.width);
  return [
    ...section(`Rule ${hit.rule}`, paragraph(hit.rootCause, style), style),
    ...held,
    ...unchecked,
    ...hit.references.flatMap((reference) => hang('  see ', '      ', reference, style.width)),
  ];
}

function postsSection(seen: PostsSeen | null, style: Style): readonly string[] {
  return seen === null ? [] : section('What it posts (RDMA)', paragraph(postsText(seen), style), style);
}

function postsText({ windowMs, queuePairs, postedTo, posts, bytes, ...more }: PostsSeen): string {
  const { outstanding, missed, refused } = more;
  if (refused !== null) return `not looked at: ${refused}`;
  const within = `in ${duration(windowMs)}`;
  const what =
    posts === 0
      ? `no post was seen ${within} to any of its ${count(queuePairs, 'queue pair')}; a program that goes past libibverbs is not seen`
      : `${missed > 0 ? 'at least ' : ''}${count(posts, 'work request')} ${within}, ${quantity(bytes, 'bytes')}, to ${postedTo} of its ${count(queuePairs, 'queue pair')}`;
  return outstanding === null ? what : `${what}; ${outstanding} posted and not completed`;
}

function caseSection(hit: CaseHit, style: Style): readonly string[] {
  const differences: readonly Row[] = [
    ...(hit.onlyThere.length === 0 ? [] : [['only there', hit.onlyThere.join(', ')] as const]),
    ...(hit.onlyHere.length === 0 ? [] : [['only here', hit.onlyHere.join(', ')] as const]),
    ['source', `${hit.source}, closed ${dateTime(hit.closed)}`],
  ];
  const head = `Case ${hit.name}, ${Math.round(hit.likeness * 100)} % alike`;
  return [
    ...section(head, paragraph(`${hit.title}: ${hit.cause}`, style), style),
    ...rows(differences, style),
  ];
}

function modelSections(model: ModelAnswer, style: Style): readonly string[] {
  const withheld =
    model.withheld === 0
      ? []
      : hang(
          '  ! ',
          '    ',
          `${model.withheld} of its sentences held a command or a link and are not shown`,
          style.width,
        );
  return [
    ...section(
      `A model's reading, not a proof`,
      [
        ...hang('  ', '  ', claimText(model.cause), style.width),
        ...model.claims.flatMap((claim) => hang('  - ', '    ', claimText(claim), style.width)),
        ...withheld,
        ...hang('  by ', '     ', model.model, style.width),
      ],
      style,
    ),
    ...section('What it would look at', steps(model.checks.map(prose), style), style),
  ];
}

function claimText({ text, evidence, hypothesis }: Claim): string {
  return hypothesis ? `hypothesis: ${text}` : `${text}${ids(evidence)}`;
}

function steps(list: readonly DiagnosisStep[], style: Style): readonly string[] {
  const digits = String(list.length).length;
  return list.flatMap(({ text, run, risk }, at) => {
    const mark = `  ${String(at + 1).padStart(digits)}. `;
    const indent = ' '.repeat(mark.length);
    const danger = risk === null || risk === 'read-only' ? '' : ` (${risk})`;
    return [
      ...hang(mark, indent, `${text}${danger}`, style.width),
      // On a line of its own, whole: it gets copied.
      ...(run === null ? [] : [`${indent}$ ${run.map(shellWord).join(' ')}`]),
    ];
  });
}

/** A word of a command as every shell reads it back. */
function shellWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

/** Further rules and cases, and the other causes with what is known of them. */
function alsoTrue(
  { why, rules }: Diagnosis,
  own: readonly RuleHit[],
  cases: readonly CaseHit[],
  style: Style,
): readonly string[] {
  const item = (text: string): readonly string[] => hang('  - ', '    ', text, style.width);
  return [
    ...own.slice(1).flatMap((hit) => item(`rule ${hit.rule}: ${hit.rootCause}`)),
    ...cases
      .slice(1)
      .flatMap((hit) => item(`case ${hit.name}, ${Math.round(hit.likeness * 100)} % alike: ${hit.cause}`)),
    ...(why.alternatives ?? []).flatMap((other, at) => item(otherText(other, rules, at + 1))),
  ];
}

function otherText(other: Finding, rules: readonly RuleHit[], at: number): string {
  const hit = rules.find(({ finding }) => finding === at);
  const says = hit === undefined ? other.summary : `${hit.rootCause} (rule ${hit.rule})`;
  return `another cause, ${sceneOf(other)}, ${sureness(other.confidence)}: ${says}`;
}

function sourceRow({ source, state, detail }: SourceReport): Row {
  return [source, `${stateText(state)}: ${detail}`];
}

function stateText(state: SourceReport['state']): string {
  switch (state) {
    case 'used':
      return 'answers';
    case 'no-hit':
      return 'nothing on this';
    case 'not-asked':
      return 'not asked';
    case 'not-configured':
      return 'not configured';
    case 'failed':
      return 'failed';
    default:
      return assertNever(state);
  }
}

function ids(evidence: readonly string[]): string {
  return evidence.length === 0 ? '' : ` [${evidence.join(' ')}]`;
}

function paragraph(text: string, style: Style): readonly string[] {
  return wrap(text, style.width - 2).map((line) => `  ${line}`);
}
