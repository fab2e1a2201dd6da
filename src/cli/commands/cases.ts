/** `xctl cases list|show|add|push`: the case library, from which `xctl diag` knows what it was the last time. */
import type { Case } from '../../diag/case.js';
import type { WhyAnswer } from '../../scene/answer.js';
import { API_VERSION } from '../../scene/answer.js';
import { UsageError } from '../../util/errors.js';
import { choice, pid, text } from '../core/args.js';
import { type Context, createCommand } from '../core/command.js';
import { emit } from '../emit.js';

const ACTIONS = ['list', 'show', 'add', 'push'] as const;
const PUSH_TIMEOUT_MS = 30_000;

export const casesCommand = createCommand({
  name: 'cases',
  describe: 'List, show and add the cases that xctl diag compares with, or push them to a Qdrant collection',
  examples: [
    'xctl cases list --knowledge /etc/xctl/cases',
    'xctl cases show nfs-server-hung',
    'xctl cases add nfs-server-hung --from why.json --cause "nfsd had lost its disk" --fix "replace the disk, restart nfsd"',
    'xctl cases add nfs-server-hung --pid 4242 --replay incident.jsonl --cause "nfsd had lost its disk"',
    'xctl cases push --qdrant-url http://127.0.0.1:6333',
  ],
  positionals: {
    action: choice(ACTIONS, 'What to do'),
    name: text('Name of a case', 'nfs-server-hung'),
  },
  options: {
    knowledge: text('Directory of the cases (XCTL_KNOWLEDGE)', 'DIR', 'file'),
    from: text('add: the answer, from xctl why PID -o json or xctl diag PID -o json', 'FILE', 'file'),
    pid: pid('add: ask about this process instead', '--pid 4242'),
    replay: text('add: with --pid, ask this recording', 'FILE', 'file'),
    title: text('add: one line for lists', '"NFS server hung"'),
    cause: text('add: what it really was', '"nfsd had lost its disk"'),
    fix: text('add: what helped; further steps go into the file', '"restart nfsd"'),
    'qdrant-url': text('push: where to (XCTL_QDRANT_URL; key in XCTL_QDRANT_KEY)', 'http://127.0.0.1:6333'),
  },
  run: async (args, context) => {
    const { action = 'list' } = args;
    const directory = directoryOf(args.knowledge, context);
    switch (action) {
      case 'list':
        return list(directory, context);
      case 'show':
        return show(directory, nameOf(args.name, 'show'), context);
      case 'add':
        return add(directory, nameOf(args.name, 'add'), args, context);
      case 'push':
        return push(directory, args['qdrant-url'], context);
    }
  },
});

function directoryOf(typed: string | undefined, { env }: Context): string {
  const directory = typed ?? (env.XCTL_KNOWLEDGE || undefined);
  if (directory !== undefined) return directory;
  throw new UsageError('name the directory of the cases: --knowledge DIR, or XCTL_KNOWLEDGE');
}

function nameOf(typed: string | undefined, action: 'show' | 'add'): string {
  if (typed === undefined) throw new UsageError(`name the case, e.g. xctl cases ${action} nfs-server-hung`);
  return typed;
}

async function list(directory: string, context: Context): Promise<void> {
  const { readLibrary } = await import('../../diag/cases.js');
  const { cases, refused } = await readLibrary(directory);
  const { renderCases } = await import('../render/cases.js');
  const listed = cases.map(({ case: its, source }) => ({ ...its, file: source }));
  await emit(context, { apiVersion: API_VERSION, directory, cases: listed, refused }, renderCases);
}

async function show(directory: string, name: string, context: Context): Promise<void> {
  const { CASE_NAME } = await import('../../diag/case.js');
  const { findCase } = await import('../../diag/cases.js');
  const found = CASE_NAME.test(name) ? await findCase(directory, name) : undefined;
  if (found === undefined)
    throw new UsageError(`no case ${JSON.stringify(name)} in ${directory}; xctl cases list shows them`);
  const { renderCase } = await import('../render/cases.js');
  await emit(context, found.case, renderCase);
}

interface AddArgs {
  readonly from: string | undefined;
  readonly pid: number | undefined;
  readonly replay: string | undefined;
  readonly title: string | undefined;
  readonly cause: string | undefined;
  readonly fix: string | undefined;
}

async function add(directory: string, name: string, args: AddArgs, context: Context): Promise<void> {
  if (args.cause === undefined) {
    throw new UsageError(
      'say what it really was: --cause "nfsd had lost its disk"; the answer alone teaches nobody anything',
    );
  }
  const answer = await answerOf(args, context);
  const { makeCase } = await import('../../diag/case.js');
  const made: Case = makeCase(answer, {
    name,
    title: args.title,
    cause: args.cause,
    steps: args.fix === undefined ? [] : [args.fix],
  });
  const { addCase } = await import('../../diag/cases.js');
  const file = await addCase(directory, made);
  await emit(context, { apiVersion: API_VERSION, added: made, file }, (value) => `${value.file}\n`);
}

async function answerOf(args: AddArgs, context: Context): Promise<WhyAnswer> {
  if ((args.from === undefined) === (args.pid === undefined)) {
    throw new UsageError('say which answer to keep: --from FILE (of xctl why PID -o json), or --pid PID');
  }
  if (args.from !== undefined) {
    const { readAnswer } = await import('../../diag/answer-file.js');
    return readAnswer(args.from);
  }
  if (args.pid === undefined) throw new UsageError('--pid needs a process, e.g. --pid 4242');
  if (args.replay === undefined) return (await context.client()).why(args.pid);
  const { replayAnswer } = await import('../replay.js');
  const { answer } = await replayAnswer(args.replay, args.pid);
  if ('findings' in answer) throw new UsageError('--replay needs --pid, the process that the case is about');
  return answer;
}

async function push(directory: string, typed: string | undefined, context: Context): Promise<void> {
  const { Qdrant, qdrantSettings } = await import('../../diag/qdrant.js');
  const settings = qdrantSettings(typed, context.env, PUSH_TIMEOUT_MS);
  if (settings === undefined) throw new UsageError('say where to: --qdrant-url http://127.0.0.1:6333');
  const { readLibrary } = await import('../../diag/cases.js');
  const { cases, refused } = await readLibrary(directory);
  const qdrant = new Qdrant(settings, context.signal);
  await qdrant.put(cases.map((stored) => stored.case));
  for (const { file, reason } of refused)
    context.terminal.complain(`xctl cases: left out ${file}: ${reason}`);
  await emit(
    context,
    { apiVersion: API_VERSION, pushed: cases.length, to: qdrant.name, refused },
    (value) => `${value.pushed} cases are in ${value.to}\n`,
  );
}
