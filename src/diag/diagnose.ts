/**
 * From an answer to a diagnosis: rules, then cases, then a model, each only when the one before had nothing. What
 * is known on this node is there at once and never waits for what has to be asked over the network.
 */
import type { DiagnosisInput } from '../rules/diagnosis-input.js';
import type { WhyAnswer } from '../scene/answer.js';
import { messageOf } from '../util/errors.js';
import { Anonymiser } from './anonymise.js';
import { type CaseHit, hitsAmong } from './case.js';
import { type CaseLibrary, readLibrary, type StoredCase } from './cases.js';
import { ClaimError, readClaims } from './claims.js';
import type { Diagnosis, ModelAnswer, PostsSeen, Source, SourceReport } from './diagnosis.js';
import { RemoteError } from './http.js';
import type { Model } from './model.js';
import { makePrompt } from './prompt.js';

/** Cases that somebody else keeps. */
export interface RemoteCases {
  readonly name: string;
  /** @throws RemoteError */
  near(answer: WhyAnswer): Promise<CaseLibrary>;
}

/** Who may be asked after the rules; what is absent is not asked. */
export interface Helpers {
  /** Directory of the case library. */
  readonly knowledge: string | undefined;
  readonly remoteCases: RemoteCases | undefined;
  readonly model: Model | undefined;
  /** Nothing may leave this node: said instead of "not configured". */
  readonly offline: boolean;
  readonly signal: AbortSignal;
}

const HOW_TO: Readonly<Record<Source, string>> = {
  rules: 'xctl-agent --rules DIR',
  knowledge: '--knowledge DIR, a case library (xctl cases)',
  qdrant: '--qdrant-url URL',
  model: '--model-url URL and --model NAME',
};
const OFFLINE = '--offline: nothing leaves this node';

/** What the agent says, and what was looked at besides. */
export interface DiagnosisFacts extends DiagnosisInput {
  readonly posts?: PostsSeen;
}

type Part = Pick<Diagnosis, 'rules' | 'cases' | 'model'>;
type Asked<T> = { readonly report: SourceReport; readonly found: T };

/**
 * @param onLocal gets the diagnosis as it is before anybody is asked over the network; not called when nobody is
 * @throws what onLocal throws
 */
export async function diagnose(
  input: DiagnosisFacts,
  helpers: Helpers,
  onLocal: (known: Diagnosis, asking: readonly Source[]) => Promise<void> = async () => {},
): Promise<Diagnosis> {
  const { answer, hits } = input;
  if (answer.verdict === 'healthy')
    return assemble(input, nothingWrong(), { rules: hits, cases: [], model: null });

  const rules = rulesReport(input);
  if (rules.state === 'used') {
    return assemble(
      input,
      [rules, ...others(['knowledge', 'qdrant', 'model'], 'a rule has answered', helpers)],
      {
        rules: hits,
        cases: [],
        model: null,
      },
    );
  }
  const knowledge = await askFiles(answer, helpers);
  if (knowledge.found.length > 0) {
    return assemble(
      input,
      [rules, knowledge.report, ...others(['qdrant', 'model'], 'a case has answered', helpers)],
      {
        rules: hits,
        cases: knowledge.found,
        model: null,
      },
    );
  }
  const local = { rules: hits, cases: [], model: null };
  const asking: Source[] = [
    ...(helpers.remoteCases === undefined ? [] : (['qdrant'] as const)),
    ...(helpers.model === undefined ? [] : (['model'] as const)),
  ];
  if (asking.length > 0) {
    await onLocal(assemble(input, [rules, knowledge.report], local), asking);
  }
  const qdrant = await askRemote(answer, helpers);
  if (qdrant.found.length > 0) {
    const reports = [
      rules,
      knowledge.report,
      qdrant.report,
      ...others(['model'], 'a case has answered', helpers),
    ];
    return assemble(input, reports, { ...local, cases: qdrant.found });
  }
  const model = await askModel(answer, helpers);
  return assemble(input, [rules, knowledge.report, qdrant.report, model.report], {
    ...local,
    model: model.found,
  });
}

function nothingWrong(): readonly SourceReport[] {
  return (['rules', 'knowledge', 'qdrant', 'model'] as const).map((source) => ({
    source,
    state: 'not-asked',
    detail: 'nothing is wrong',
  }));
}

function rulesReport({ hits, rules }: DiagnosisInput): SourceReport {
  const refused =
    rules.refused.length === 0 ? '' : `; ${rules.refused.length} rule files refused, see xctl doctor`;
  const own = hits.find(({ finding }) => finding === 0);
  if (own !== undefined) {
    const more = hits.length === 1 ? '' : `, and ${hits.length - 1} more`;
    return { source: 'rules', state: 'used', detail: `${own.rule} (${own.source})${more}${refused}` };
  }
  if (rules.rules === 0 && rules.directory === null) {
    return { source: 'rules', state: 'not-configured', detail: HOW_TO.rules };
  }
  const other = hits.length === 0 ? '' : '; those that hold are about another finding';
  return { source: 'rules', state: 'no-hit', detail: `none of ${rules.rules} holds${other}${refused}` };
}

/** Those that need not be asked any more, or cannot be. */
function others(sources: readonly Source[], because: string, helpers: Helpers): readonly SourceReport[] {
  return sources.map((source) =>
    isConfigured(source, helpers) ? { source, state: 'not-asked', detail: because } : absent(source, helpers),
  );
}

function isConfigured(source: Source, { knowledge, remoteCases, model }: Helpers): boolean {
  switch (source) {
    case 'rules':
      return true;
    case 'knowledge':
      return knowledge !== undefined;
    case 'qdrant':
      return remoteCases !== undefined;
    case 'model':
      return model !== undefined;
  }
}

function absent(source: Source, { offline }: Helpers): SourceReport {
  const isRemote = source === 'qdrant' || source === 'model';
  return { source, state: 'not-configured', detail: offline && isRemote ? OFFLINE : HOW_TO[source] };
}

async function askFiles(answer: WhyAnswer, helpers: Helpers): Promise<Asked<readonly CaseHit[]>> {
  const { knowledge } = helpers;
  if (knowledge === undefined) return { report: absent('knowledge', helpers), found: [] };
  try {
    return casesReport('knowledge', knowledge, answer, await readLibrary(knowledge));
  } catch (error) {
    return { report: { source: 'knowledge', state: 'failed', detail: messageOf(error) }, found: [] };
  }
}

async function askRemote(answer: WhyAnswer, helpers: Helpers): Promise<Asked<readonly CaseHit[]>> {
  const { remoteCases } = helpers;
  if (remoteCases === undefined) return { report: absent('qdrant', helpers), found: [] };
  try {
    return casesReport('qdrant', remoteCases.name, answer, await remoteCases.near(answer));
  } catch (error) {
    if (!(error instanceof RemoteError)) throw error;
    return {
      report: { source: 'qdrant', state: 'failed', detail: `${remoteCases.name}: ${error.message}` },
      found: [],
    };
  }
}

function casesReport(
  source: 'knowledge' | 'qdrant',
  name: string,
  answer: WhyAnswer,
  { cases, refused }: CaseLibrary,
): Asked<readonly CaseHit[]> {
  const found = hitsAmong(answer, cases);
  const bad =
    refused[0] === undefined
      ? ''
      : `; ${refused.length} refused, the first ${refused[0].file}: ${refused[0].reason}`;
  const [best] = found;
  if (best === undefined) {
    return { report: { source, state: 'no-hit', detail: `${none(source, cases)} (${name})${bad}` }, found };
  }
  const detail = `case ${best.name}, ${Math.round(best.likeness * 100)} % alike (${name})${bad}`;
  return { report: { source, state: 'used', detail }, found };
}

function none(source: 'knowledge' | 'qdrant', cases: readonly StoredCase[]): string {
  return source === 'qdrant'
    ? `none of the ${cases.length} nearest cases is alike`
    : `none of ${cases.length} cases is alike`;
}

async function askModel(answer: WhyAnswer, helpers: Helpers): Promise<Asked<ModelAnswer | null>> {
  const { model, signal } = helpers;
  if (model === undefined) return { report: absent('model', helpers), found: null };
  const names = new Anonymiser(answer);
  const anonymous = names.answer(answer);
  try {
    const { prompt, evidence } = makePrompt(anonymous);
    const text = await model.ask(prompt, signal);
    const found = readClaims(text, {
      model: model.name,
      prompt: prompt.user,
      evidence,
      hasToken: (token) => names.tokens.has(token),
      restore: (said) => names.restore(said),
    });
    return {
      report: { source: 'model', state: 'used', detail: `${model.name}: a reading, not a proof` },
      found,
    };
  } catch (error) {
    const refused = error instanceof ClaimError ? `its answer is not used: ${error.message}` : undefined;
    if (refused === undefined && !(error instanceof RemoteError)) throw error;
    const detail = `${model.name}: ${refused ?? messageOf(error)}`;
    return { report: { source: 'model', state: 'failed', detail }, found: null };
  }
}

function assemble(input: DiagnosisFacts, sources: readonly SourceReport[], part: Part): Diagnosis {
  const { answer } = input;
  return {
    apiVersion: answer.apiVersion,
    node: answer.node,
    ts: answer.ts,
    target: answer.target,
    ...saidBy(answer, part),
    why: answer,
    sources,
    ...part,
    posts: input.posts ?? null,
  };
}

/** Cause and steps of whoever answers. */
function saidBy(
  answer: WhyAnswer,
  { rules, cases, model }: Part,
): Pick<Diagnosis, 'answeredBy' | 'cause' | 'steps'> {
  const hit = rules.find(({ finding }) => finding === 0);
  if (hit !== undefined) return { answeredBy: 'rules', cause: hit.rootCause, steps: hit.steps };
  const [best] = cases;
  const prose = (texts: readonly string[]) => texts.map((text) => ({ text, run: null, risk: null }));
  if (best !== undefined) return { answeredBy: 'knowledge', cause: best.cause, steps: prose(best.steps) };
  const own = prose(answer.recommendations);
  // What a model wants to be looked at comes after what is known to help.
  if (model !== null)
    return { answeredBy: 'model', cause: model.cause.text, steps: [...own, ...prose(model.checks)] };
  return { answeredBy: 'graph', cause: answer.summary, steps: own };
}
