/**
 * `xctl diag PID`: the answer of `xctl why`, explained: by a rule, else by a case that looked the same, else by a
 * language model if one is configured. Only this process ever asks anybody over the network, never the agent.
 */
import type { Diagnosis, Source } from '../../diag/diagnosis.js';
import type { DiagnosisFacts, Helpers } from '../../diag/diagnose.js';
import { MODEL_APIS, type ModelSettings } from '../../diag/model.js';
import type { DiagnosisInput } from '../../rules/diagnosis-input.js';
import { UsageError } from '../../util/errors.js';
import { choice, flag, pid, seconds, text } from '../core/args.js';
import { type Context, createCommand } from '../core/command.js';
import { emit } from '../emit.js';

const MODEL_TIMEOUT_S = 20;
const QDRANT_TIMEOUT_MS = 3_000;

export const diagCommand = createCommand({
  name: 'diag',
  describe: 'Explain why a process is stuck, slow or dead, and what to do about it',
  examples: [
    'xctl diag 4242',
    'xctl diag 4242 --offline',
    'xctl diag 4242 --knowledge /etc/xctl/cases',
    'xctl diag 4242 --model-url http://127.0.0.1:8000/v1 --model qwen3',
    'xctl diag 4242 --replay incident.jsonl',
    'xctl diag 4242 --no-trace',
  ],
  positionals: { pid: pid('The process, or one of its threads', 'xctl diag 4242') },
  options: {
    replay: text('Answer from a recording (xctl-agent --record), without an agent', 'FILE', 'file'),
    rules: text('With --replay: the directory of the rules', 'DIR', 'file'),
    knowledge: text('Directory of cases, see xctl cases (XCTL_KNOWLEDGE)', 'DIR', 'file'),
    'qdrant-url': text(
      'Cases in a Qdrant collection (XCTL_QDRANT_URL; key in XCTL_QDRANT_KEY)',
      'http://127.0.0.1:6333',
    ),
    'model-url': text(
      'An endpoint to ask when nothing else knows (XCTL_MODEL_URL; key in XCTL_MODEL_KEY)',
      'http://127.0.0.1:8000/v1',
    ),
    model: text('The name of the model there (XCTL_MODEL)', 'NAME'),
    'model-api': choice(MODEL_APIS, 'What the endpoint speaks (by its host)'),
    'model-timeout': seconds(`Seconds to wait for the model (${MODEL_TIMEOUT_S})`, MODEL_TIMEOUT_S),
    offline: flag('Ask nobody but the agent: nothing leaves this node'),
    'no-trace': flag('RDMA: do not look at what it posts to its queue pairs'),
  },
  run: async (args, context) => {
    if (args.pid === undefined)
      throw new UsageError('name a process, e.g. xctl diag 4242; xctl why lists what is wrong');
    if (args.rules !== undefined && args.replay === undefined) {
      throw new UsageError('--rules goes with --replay; the agent has its own (xctl-agent --rules DIR)');
    }
    // Wrong settings are told before anything is asked.
    const helpers = await helpersOf(args, context);
    const input =
      args.replay === undefined
        ? await ask(args.pid, args['no-trace'], context)
        : await replayed(args.replay, args.pid, args.rules, context);
    const { diagnose } = await import('../../diag/diagnose.js');
    let shown = false;
    const diagnosis = await diagnose(input, helpers, async (known, asking) => {
      // JSON and YAML are one document, and wait for it as long as the time-outs say.
      if (context.output === 'text') await showKnown(known, asking, helpers, context);
      shown = context.output === 'text';
    });
    const { renderAsked, renderDiagnosis } = await import('../render/diag.js');
    await emit(context, diagnosis, shown ? renderAsked : renderDiagnosis);
  },
});

async function ask(target: number, untraced: boolean, context: Context): Promise<DiagnosisFacts> {
  const client = await context.client();
  const input = await client.diagnosis(target);
  // Whoever has a cause is not made to wait for more.
  if (untraced || input.queuePairs === 0 || input.answer.verdict === 'cause-found') return input;
  const { lookAtPosts } = await import('../posts.js');
  return lookAtPosts(client, target, input, context);
}

async function replayed(
  file: string,
  target: number,
  rules: string | undefined,
  { terminal }: Context,
): Promise<DiagnosisInput> {
  const { replayInput } = await import('../replay.js');
  const { input, gaps } = await replayInput(file, target, rules);
  for (const gap of gaps) terminal.complain(`xctl diag: note: ${gap}`);
  return input;
}

async function showKnown(
  known: Diagnosis,
  asking: readonly Source[],
  { model }: Helpers,
  context: Context,
): Promise<void> {
  const { renderKnown } = await import('../render/diag.js');
  await emit(context, known, renderKnown);
  const waits = model === undefined ? '' : ` (up to ${model.timeoutMs / 1000} s; Ctrl-C leaves it at that)`;
  context.terminal.complain(`xctl diag: now asking ${asking.join(', then ')}${waits}`);
}

interface HelperArgs {
  readonly knowledge: string | undefined;
  readonly 'qdrant-url': string | undefined;
  readonly 'model-url': string | undefined;
  readonly model: string | undefined;
  readonly 'model-api': ModelSettings['api'] | undefined;
  readonly 'model-timeout': number | undefined;
  readonly offline: boolean;
}

/** @throws UsageError */
async function helpersOf(args: HelperArgs, { env, signal }: Context): Promise<Helpers> {
  const knowledge = args.knowledge ?? (env.XCTL_KNOWLEDGE || undefined);
  const local = { knowledge, offline: args.offline, signal };
  if (args.offline) {
    const named = (['qdrant-url', 'model-url', 'model'] as const).find((name) => args[name] !== undefined);
    if (named !== undefined)
      throw new UsageError(`--offline and --${named} contradict each other; leave one of them out`);
    // The modules that could open a connection are not even loaded.
    return { ...local, remoteCases: undefined, model: undefined };
  }
  const { modelSettings, openModel } = await import('../../diag/model.js');
  const { Qdrant, qdrantSettings } = await import('../../diag/qdrant.js');
  const model = modelSettings(
    {
      url: args['model-url'],
      model: args.model,
      api: args['model-api'],
      timeoutMs: (args['model-timeout'] ?? MODEL_TIMEOUT_S) * 1000,
    },
    env,
  );
  const qdrant = qdrantSettings(args['qdrant-url'], env, QDRANT_TIMEOUT_MS);
  return {
    ...local,
    remoteCases: qdrant === undefined ? undefined : new Qdrant(qdrant, signal),
    model: model === undefined ? undefined : await openModel(model),
  };
}
