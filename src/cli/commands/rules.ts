/** `xctl rules`: what is in rule files, whether they are sound, and whether they find what they are for. */
import type { RuleSetState } from '../../rules/model.js';
import type { RuleSet } from '../../rules/rule-set.js';
import { RefusedError, UsageError } from '../../util/errors.js';
import { printable } from '../../util/text.js';
import { choice, text } from '../core/args.js';
import { type Context, createCommand } from '../core/command.js';
import { nearest } from '../core/suggest.js';
import { emit } from '../emit.js';

const WHAT = ['list', 'show', 'lint', 'test'] as const;

export const rulesCommand = createCommand({
  name: 'rules',
  describe: 'List, show, check or test rule files; the agent is not asked',
  examples: [
    'xctl rules list',
    'xctl rules show disk-full',
    'xctl rules lint --rules ./rules',
    'xctl rules test',
  ],
  positionals: {
    what: choice(WHAT, 'What to do'),
    name: text('The rule, for show and test', 'disk-full'),
  },
  options: {
    rules: text("Directory of rule files (the package's own)", './rules', 'file'),
    tests: text('Directory of recordings for test (tests/ in that of the rules)', './rules/tests', 'file'),
  },
  run: async (args, context) => {
    const what = args.what ?? 'list';
    const { directory, rules } = await load(args.rules);
    if (args.name !== undefined && (what === 'list' || what === 'lint'))
      throw new UsageError(`${what} takes no name; type xctl rules show ${args.name}`);
    switch (what) {
      case 'list':
        await list(rules, context);
        return;
      case 'show':
        return show(rules, args.name, context);
      case 'lint':
        return lint(rules.state, context);
      case 'test':
        return test(rules, args.name, args.tests ?? `${directory}/tests`, context);
    }
  },
});

async function load(
  given: string | undefined,
): Promise<{ readonly directory: string; readonly rules: RuleSet }> {
  const [{ resolve }, { packageRules }, { loadRules }, { RefusedFileError }] = await Promise.all([
    import('node:path'),
    import('../../rules/directory.js'),
    import('../../rules/load.js'),
    import('../../rules/files.js'),
  ]);
  const directory = given === undefined ? packageRules() : resolve(given);
  if (directory === undefined)
    throw new UsageError('there are no rules in this package; name a directory by --rules');
  try {
    return { directory, rules: await loadRules(directory) };
  } catch (error) {
    if (!(error instanceof RefusedFileError)) throw error;
    throw new RefusedError(`${directory} ${error.message}`, { cause: error });
  }
}

async function list(rules: RuleSet, context: Context): Promise<void> {
  const { renderRuleList, ruleRow } = await import('../render/rules.js');
  await emit(context, { rules: rules.rules.map(ruleRow), state: rules.state }, renderRuleList);
}

async function show(rules: RuleSet, name: string | undefined, context: Context): Promise<void> {
  if (name === undefined) throw new UsageError('which rule? type xctl rules list for their names');
  const found = rules.byName.get(name);
  if (found === undefined) {
    const near = nearest(name, [...rules.byName.keys()]);
    throw new UsageError(
      `no rule ${name}; ${near === undefined ? 'type xctl rules list' : `did you mean ${near}?`}`,
    );
  }
  const { renderRule } = await import('../render/rules.js');
  await emit(context, { source: found.source, ...found.rule }, renderRule);
}

async function lint(state: RuleSetState, context: Context): Promise<void> {
  const { renderLint } = await import('../render/rules.js');
  await emit(context, state, renderLint);
  const { refused, files } = state;
  if (refused.length > 0)
    throw new RefusedError(`${refused.length} of ${refused.length + files.length} files are refused`);
}

async function test(
  rules: RuleSet,
  name: string | undefined,
  directory: string,
  context: Context,
): Promise<void> {
  if (name !== undefined && !rules.byName.has(name)) await show(rules, name, context);
  const [{ hasRecordings, testRules }, { renderRuleTests }] = await Promise.all([
    import('../../rules/rule-tests.js'),
    import('../render/rules.js'),
  ]);
  if (!(await hasRecordings(directory)))
    throw new UsageError(
      `${printable(directory, 200)}: no recordings there; the package brings none, a checkout has them in rules/tests; name a directory by --tests`,
    );
  const results = [];
  for await (const result of testRules(rules, directory, name)) {
    context.signal.throwIfAborted();
    results.push(result);
  }
  await emit(context, { tests: results, refused: rules.state.refused }, renderRuleTests);
  const failed = results.filter(({ failures }) => failures.length > 0).length;
  const { refused } = rules.state;
  if (failed > 0) throw new RefusedError(`${failed} of ${results.length} rules fail their tests`);
  if (refused.length > 0) throw new RefusedError(`${refused.length} files are refused; type xctl rules lint`);
}
