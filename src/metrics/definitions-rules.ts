/** Metrics of the rules: how many there are, what they have seen, how often one held. No rule's name: people choose those. */
import type { Definition } from './definition.js';
import type { MetricSources, RuleTotals } from './sources.js';

export function ofRules({ rules }: MetricSources): readonly Definition[] {
  const single = (
    name: Definition['name'],
    help: string,
    value: (totals: RuleTotals) => number,
  ): Definition => ({
    name,
    help,
    labels: [],
    read: () => [[{}, value(rules())]],
  });
  return [
    single('xctl_rules', 'Rules that are loaded.', (totals) => totals.rules),
    single(
      'xctl_rule_files_refused',
      'Rule files that were refused at the last load.',
      (totals) => totals.refusedFiles,
    ),
    {
      name: 'xctl_rule_loads_total',
      help: 'Times that the rules were loaded, by what came of it.',
      labels: ['result'],
      read: () => {
        const { loads, failedLoads } = rules();
        return [
          [{ result: 'ok' }, loads - failedLoads],
          [{ result: 'failed' }, failedLoads],
        ];
      },
    },
    single('xctl_rule_questions_total', 'Diagnoses that rules were asked about.', (totals) => totals.asked),
    single('xctl_rule_hits_total', 'Diagnoses that some rule held for.', (totals) => totals.answered),
    single(
      'xctl_rule_series',
      'Entities that rules remember something of.',
      (totals) => totals.memory.series,
    ),
    single('xctl_rule_events_total', 'Events that some rule remembers.', (totals) => totals.memory.taken),
  ];
}
