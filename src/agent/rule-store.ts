/**
 * The agent's rules: loaded at start, again on SIGHUP and when their directory changes; what they have seen stays. A file
 * that is refused takes away its own rules and nothing else; a directory that cannot be read any more takes none, since
 * the ones at hand are better than none.
 */
import { type FSWatcher, watch } from 'node:fs';
import type { Event } from '../events/event.js';
import type { StateGraph } from '../graph/state-graph.js';
import { RefusedFileError } from '../rules/files.js';
import { loadRules, noRules } from '../rules/load.js';
import { matchRules } from '../rules/match.js';
import { type MemoryStats, RuleMemory } from '../rules/memory.js';
import type { RuleHit, Surroundings } from '../rules/model.js';
import type { RuleSet } from '../rules/rule-set.js';
import type { WhyAnswer } from '../scene/answer.js';
import type { Check } from '../util/check.js';
import { messageOf } from '../util/errors.js';
import type { Log } from '../util/log.js';

/** An editor or a ConfigMap changes several files at once. */
const SETTLE_MS = 200;
/** Of what is refused, lines in doctor. */
const SHOWN = 5;

export interface RuleStats {
  readonly rules: number;
  readonly refusedFiles: number;
  /** Since the agent started, the first one included; and those that could not read the directory. */
  readonly loads: number;
  readonly failedLoads: number;
  readonly asked: number;
  /** Questions that some rule held for. */
  readonly answered: number;
  readonly memory: MemoryStats;
}

export class RuleStore {
  readonly #directory: string | undefined;
  readonly #log: Log;
  #rules: RuleSet;
  #memory: RuleMemory;
  #watcher: FSWatcher | undefined;
  #settling: NodeJS.Timeout | undefined;
  #loading: Promise<void> | undefined;
  #again = false;
  #stopped = false;
  /** Why the directory could not be read the last time. */
  #failure: string | undefined;
  #unwatched: string | undefined;
  #loads = 0;
  #failedLoads = 0;
  #asked = 0;
  #answered = 0;

  /** @param directory undefined: there are none */
  constructor(directory: string | undefined, log: Log) {
    this.#directory = directory;
    this.#log = log.child({ component: 'rules' });
    this.#rules = noRules(directory ?? null);
    this.#memory = new RuleMemory(this.#rules.selectors);
  }

  async start(): Promise<void> {
    await this.reload();
    if (this.#directory !== undefined && !this.#stopped) this.#watch(this.#directory);
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#settling);
    this.#watcher?.close();
    this.#watcher = undefined;
  }

  /** One at a time; what changes meanwhile is loaded after it. */
  reload(): Promise<void> {
    this.#again = true;
    this.#loading ??= this.#loadAll();
    return this.#loading;
  }

  observe(event: Event): void {
    this.#memory.observe(event);
  }

  match(
    answer: WhyAnswer,
    graph: StateGraph,
    surroundings: Surroundings,
  ): { readonly hits: readonly RuleHit[]; readonly rules: RuleSet['state'] } {
    const hits = matchRules(this.#rules, answer, { memory: this.#memory, graph, surroundings });
    this.#asked++;
    if (hits.length > 0) this.#answered++;
    return { hits, rules: this.#rules.state };
  }

  stats(): RuleStats {
    const { rules, refused } = this.#rules.state;
    return {
      rules,
      refusedFiles: refused.length,
      loads: this.#loads,
      failedLoads: this.#failedLoads,
      asked: this.#asked,
      answered: this.#answered,
      memory: this.#memory.stats(),
    };
  }

  checks(): readonly Check[] {
    const name = 'rules';
    if (this.#directory === undefined)
      return [{ status: 'off', name, detail: 'none were named (--rules DIR), and the package has none' }];
    const { rules, files, refused } = this.#rules.state;
    const { series, evicted } = this.#memory.stats();
    const size = `${rules} rules of ${files.length} files, ${series} series remembered`;
    if (this.#failure !== undefined) {
      const kept = rules === 0 ? 'there are no rules' : `${rules} rules of before are kept`;
      return [{ status: 'failed', name, detail: `${this.#directory} ${this.#failure}; ${kept}` }];
    }
    const lines = refused.flatMap(({ errors }) => errors);
    const more = lines.length > SHOWN ? [`${lines.length - SHOWN} more; see xctl rules lint`] : [];
    const troubles = [
      ...(refused.length === 0 ? [] : [`${refused.length} files refused`]),
      ...(evicted === 0 ? [] : [`${evicted} series gave way: the memory of rules is full`]),
      ...(this.#unwatched === undefined ? [] : [`changes are not noticed (${this.#unwatched}); send SIGHUP`]),
    ];
    if (troubles.length === 0) return [{ status: 'ok', name, detail: size }];
    return [
      { status: 'degraded', name, detail: `${size}; ${troubles.join('; ')}` },
      ...[...lines.slice(0, SHOWN), ...more].map(
        (detail): Check => ({ status: 'degraded', name: 'rule file', detail }),
      ),
    ];
  }

  async #loadAll(): Promise<void> {
    try {
      while (this.#again && !this.#stopped) {
        this.#again = false;
        if (this.#directory !== undefined) await this.#load(this.#directory);
      }
    } finally {
      this.#loading = undefined;
    }
  }

  async #load(directory: string): Promise<void> {
    this.#loads++;
    try {
      this.#exchange(await loadRules(directory));
    } catch (error) {
      this.#failedLoads++;
      this.#failure = messageOf(error);
      this.#log.error('rules cannot be loaded', { directory, error: this.#failure });
      if (!(error instanceof RefusedFileError)) throw error;
    }
  }

  #exchange(rules: RuleSet): void {
    const memory = new RuleMemory(rules.selectors);
    memory.adopt(this.#memory);
    this.#rules = rules;
    this.#memory = memory;
    this.#failure = undefined;
    const { state } = rules;
    this.#log.info('rules loaded', {
      rules: state.rules,
      files: state.files.length,
      refused: state.refused.length,
    });
    for (const { errors } of state.refused)
      for (const error of errors.slice(0, SHOWN)) this.#log.warn('rule file refused', { error });
  }

  #watch(directory: string): void {
    try {
      this.#watcher = watch(directory, { persistent: false }, () => this.#changed());
      this.#watcher.on('error', (error) => this.#unwatch(error));
    } catch (error) {
      this.#unwatch(error);
    }
  }

  #unwatch(error: unknown): void {
    this.#watcher?.close();
    this.#watcher = undefined;
    this.#unwatched = messageOf(error);
    this.#log.warn('changes of rules are not noticed; send SIGHUP', { error: this.#unwatched });
  }

  #changed(): void {
    if (this.#stopped) return;
    clearTimeout(this.#settling);
    this.#settling = setTimeout(() => {
      void this.reload().catch((error: unknown) => {
        this.#log.error('rules cannot be loaded', { error: messageOf(error) });
      });
    }, SETTLE_MS);
    this.#settling.unref();
  }
}
