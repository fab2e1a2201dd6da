/** Conditions become functions of a finding, once, when a rule is loaded. */
import { compileFields, compileRange, compileText, listOf, read, type Test } from './field-test.js';
import { type ChainNode, lastOfType, type Subject } from './chain.js';
import { type Evaluate, type Held, held, together } from './held.js';
import { compileEvent } from './evaluate-event.js';
import type { Condition, EdgeTest, FindingTest, NodeTest } from './model.js';
import type { Selector } from './selector.js';

/** @param selectorOf the shared selector of an event test */
export function compileCondition(condition: Condition, selectorOf: (test: Selected) => Selector): Evaluate {
  const compile = (one: Condition): Evaluate => compileCondition(one, selectorOf);
  if ('all' in condition) return allOf(condition.all.map(compile));
  if ('any' in condition) return anyOf(condition.any.map(compile));
  if ('not' in condition) return notOf(compile(condition.not), describe(condition.not));
  if ('rule' in condition) {
    const { rule } = condition;
    return (_subject, look) => {
      const its = look.rule(rule);
      return its === undefined ? undefined : { parts: its.parts, bindings: [] };
    };
  }
  if ('finding' in condition) return findingTest(condition.finding);
  if ('node' in condition) return nodeTest(condition.node);
  if ('edge' in condition) return edgeTest(condition.edge);
  return compileEvent(condition.event, selectorOf(condition.event));
}

type Selected = Extract<Condition, { event: unknown }>['event'];

function allOf(conditions: readonly Evaluate[]): Evaluate {
  return (subject, look) => {
    const all: Held[] = [];
    for (const condition of conditions) {
      const one = condition(subject, look);
      if (one === undefined) return undefined;
      all.push(one);
    }
    return together(all);
  };
}

/** All that hold are told: each is evidence. */
function anyOf(conditions: readonly Evaluate[]): Evaluate {
  return (subject, look) => {
    const some = conditions.flatMap((condition) => condition(subject, look) ?? []);
    return some.length === 0 ? undefined : together(some);
  };
}

function notOf(condition: Evaluate, words: string): Evaluate {
  const part = { text: `not: ${words}`, value: null, ids: [], facts: [] };
  return (subject, look) => (condition(subject, look) === undefined ? held(part) : undefined);
}

function findingTest(test: FindingTest): Evaluate {
  const tests: Test<Subject>[] = [];
  const { verdict, subScene, confidence, causeType, cause, ailment, own, comm, state, links } = test;
  const add = <T>(wanted: T | undefined, make: (wanted: T) => Test<Subject>): void => {
    if (wanted !== undefined) tests.push(make(wanted));
  };
  add(
    verdict,
    (wanted) =>
      ({ finding }) =>
        listOf(wanted).some((one) => one === finding.verdict),
  );
  add(
    subScene,
    (wanted) =>
      ({ finding }) =>
        listOf(wanted).some((one) => one === finding.subScene),
  );
  add(confidence, (wanted) => {
    const within = compileRange(wanted);
    return ({ finding }) => within(finding.confidence);
  });
  add(causeType, (wanted) => (subject) => listOf(wanted).some((one) => one === subject.cause?.type));
  add(cause, (wanted) => {
    const fits = compileText(wanted);
    return (subject) => subject.cause !== undefined && fits(subject.cause.id);
  });
  add(ailment, (wanted) => {
    const fits = compileText(wanted);
    return (subject) => subject.ailment !== undefined && fits(subject.ailment);
  });
  add(own, (wanted) => (subject) => wanted === (subject.cause?.id === subject.target.id));
  add(comm, (wanted) => {
    const fits = compileText(wanted);
    return ({ answer }) => fits(answer.target.comm);
  });
  add(
    state,
    (wanted) =>
      ({ answer }) =>
        answer.target.state === wanted,
  );
  add(links, (wanted) => {
    const within = compileRange(wanted);
    return ({ finding }) => within(finding.chain.length);
  });
  const part = { text: describe({ finding: test }), value: null, ids: [], facts: [] };
  return (subject) => (tests.every((one) => one(subject)) ? held(part) : undefined);
}

function nodeMatcher({ type, id, attrs, on }: NodeTest): (node: ChainNode, subject: Subject) => boolean {
  const types = type === undefined ? undefined : new Set<string>(listOf(type));
  const fits = id === undefined ? undefined : compileText(id);
  const fields = attrs === undefined ? [] : compileFields(attrs);
  return (node, { target, cause }) =>
    (on !== 'target' || node.id === target.id) &&
    (on !== 'cause' || node.id === cause?.id) &&
    (types === undefined || types.has(node.type)) &&
    (fits === undefined || fits(node.id)) &&
    fields.every((field) => field.test(read(node.attrs, field.path)));
}

function nodeTest(test: NodeTest): Evaluate {
  const matches = nodeMatcher(test);
  const words = describe({ node: test });
  return (subject) => {
    // From the cause backwards: of several the nearest to it is meant.
    const node = subject.nodes.findLast((one) => matches(one, subject));
    if (node === undefined) return undefined;
    const ids = subject.evidence.filter(({ entity }) => entity === node.id).map(({ id }) => id);
    const part = { text: `${node.id} is ${words}`, value: null, ids, facts: [] };
    return held(part, test.as, { kind: 'node', node });
  };
}

function edgeTest(test: EdgeTest): Evaluate {
  const { kind, sinceMs, note } = test;
  const from = test.from === undefined ? undefined : nodeMatcher(test.from);
  const to = test.to === undefined ? undefined : nodeMatcher(test.to);
  const within = sinceMs === undefined ? undefined : compileRange(sinceMs);
  const says = note === undefined ? undefined : compileText(note);
  return (subject) => {
    const nodeOf = (id: string): ChainNode | undefined => subject.nodes.find((node) => node.id === id);
    for (const link of [...subject.finding.chain].reverse()) {
      const [source, goal] = [nodeOf(link.from), nodeOf(link.to)];
      if (source === undefined || goal === undefined) continue;
      if (kind !== undefined && link.edge !== kind) continue;
      if (from !== undefined && !from(source, subject)) continue;
      if (to !== undefined && !to(goal, subject)) continue;
      if (within !== undefined && !within(link.sinceMs)) continue;
      if (says !== undefined && !says(link.note ?? '')) continue;
      const text = `${link.from} ${link.edge} ${link.to} for ${link.sinceMs} ms`;
      const named = test.to?.as === undefined ? test.from?.as : test.to.as;
      const node = test.to?.as === undefined ? source : goal;
      const one = held({ text, value: link.sinceMs, ids: link.evidence, facts: [] }, named, {
        kind: 'node',
        node,
      });
      const more = test.to?.as !== undefined && test.from?.as !== undefined;
      return more
        ? { ...one, bindings: [...one.bindings, [test.from.as, { kind: 'node', node: source }]] }
        : one;
    }
    return undefined;
  };
}

/** A condition as it is written, for people: without the marks, and without the name it gives. */
export function describe(condition: Condition): string {
  const [[kind, test] = ['', {}]] = Object.entries(condition);
  const words = JSON.stringify(test, (key, value: unknown) => (key === 'as' ? undefined : value))
    .replace(/[{}"[\]]/g, '')
    .replaceAll(':', ' ')
    .replaceAll(',', ', ');
  return kind === 'node' ? words : `${kind} ${words}`;
}

/** The node that a placeholder's scope means, where no condition named it. */
export function scopeOf(subject: Subject, scope: string): ChainNode | undefined {
  if (scope === 'target') return subject.target;
  if (scope === 'cause') return subject.cause;
  return lastOfType(subject, scope);
}
