/** The ladder against the kernel under the test: what it refuses differs, that nothing is taken down does not. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import t from 'tap';
import { buildBpf } from '../../bench/producer/build.js';
import { Kernel } from '../../src/kernel/kernel.js';
import type { ProgramStatus } from '../../src/kernel/program.js';
import { createLog } from '../../src/util/log.js';
import { until } from '../lib/until.js';

const bpfDir = buildBpf('test/kernel/bpf/ladder.bpf.c');
// Mounted by the host's init, or by nobody: containers and small images have none.
const tracefs = ['/sys/kernel/tracing', '/sys/kernel/debug/tracing'].some((dir) =>
  existsSync(`${dir}/events`),
);
const lines: Readonly<Record<string, unknown>>[] = [];
const log = createLog('debug', (line) => void lines.push(JSON.parse(line)));

const kernel = await Kernel.open({ log, bpfDir });
t.teardown(() => kernel.stop());
const object = await kernel.load('ladder');

function status(slot: string): ProgramStatus {
  const found = object.programs.find((p) => p.slot === slot);
  if (found === undefined) throw new Error(`no slot ${slot}`);
  return found;
}

t.test('the best rung is taken and works', async (t) => {
  t.match(status('best'), { rung: 'tp_btf', attached: true, reason: null, attempts: [], object: 'ladder' });
  const pids = new Set<number>();
  await until(
    () => {
      execFileSync('/bin/true');
      kernel.critical.drain((view, at) => void pids.add(view.getUint32(at + 8, true)));
      return pids.size > 0 ? true : undefined;
    },
    { timeoutMs: 10_000, what: 'an exec' },
  );
});

t.test('where fentry is refused the next rung takes over, and the refusal is remembered', async (t) => {
  const first = status('falls');
  t.ok(first.attached);
  const second = status('falls_too');
  t.ok(second.attached);
  if (first.rung === 'fentry') {
    t.equal(second.rung, 'fentry');
    return;
  }
  t.equal(first.rung, 'raw_tp');
  t.match(first.attempts, [{ rung: 'fentry', errno: /^E/ }]);
  t.equal(second.rung, 'raw_tp');
  t.match(second.reason ?? '', /^fentry: E\w+ at (load|attach): not allowed here/);
});

t.test('a tracepoint of tracefs needs it mounted, and says so where it is not', async (t) => {
  const expected = tracefs
    ? { rung: 'tp', attached: true, attempts: [] }
    : {
        rung: null,
        attempts: [{ rung: 'tp', stage: 'probe', errno: 'ENOENT', reason: /tracefs is not mounted/ }],
      };
  t.match(status('by_tracefs'), expected);
});

t.test('a program that the verifier refuses gives way to its next rung', async (t) => {
  const { rung, attached, attempts } = status('refused_then_good');
  t.equal(rung, 'raw_tp');
  t.ok(attached);
  t.match(attempts, [{ rung: 'tp_btf', stage: 'load', errno: 'EACCES', reason: /stack/ }]);
});

t.test('a slot with no rung left is off, with the reasons, and takes nobody down', async (t) => {
  t.match(status('hopeless'), { rung: null, attached: false, attempts: [{ stage: 'load' }] });
  t.match(status('absent'), {
    rung: null,
    attached: false,
    attempts: [
      // With modules, whose types are elsewhere, libbpf looks for it.
      { rung: 'tp_btf', errno: /^(ENOENT|ESRCH)$/, reason: /xctl_no_such_tracepoint/ },
      { rung: 'fentry', errno: /^E/ },
      { rung: 'tp', stage: 'probe', errno: 'ENOENT' },
    ],
  });
  const on = object.programs.filter((p) => p.attached).map((p) => p.slot);
  const mounted = tracefs ? ['by_tracefs'] : [];
  t.same(on.sort(), ['awake', 'best', ...mounted, 'falls', 'falls_too', 'refused_then_good', 'tasks']);
  t.equal(object.programFd('hopeless'), undefined);
  t.type(object.programFd('best'), 'number');
  t.same(kernel.programs, object.programs);
});

t.test("libbpf's words are in the log as lines of their own", async (t) => {
  const theirs = lines.filter((l) => l.component === 'libbpf');
  t.ok(theirs.some((l) => l.level === 'debug'));
  const refusal = theirs.find((l) => l.level === 'warn' && l.program === 'hopeless__tp_btf');
  t.match(refusal?.msg, /BPF program load failed/);
  t.notOk(theirs.some((l) => String(l.msg).endsWith('\n')));
});

t.test('iterators: sleepable where it can be, restricted to a process where it can be', async (t) => {
  t.equal(object.iterator('awake')?.rung, 'iter');
  t.equal(object.iterator('best'), undefined);
  const tasks = object.iterator('tasks');
  if (tasks === undefined) throw new Error('no iterator');
  const all = pidsOf(tasks.read().bytes);
  t.ok(all.has(process.pid) && all.has(process.ppid));
  const one = tasks.read(process.pid);
  const pids = pidsOf(one.bytes);
  t.ok(pids.has(process.pid));
  t.ok(pids.size === 1 || !one.restricted);
  t.ok(one.bytes.length > 8, 'with all its threads');
  t.ok(pidsOf(tasks.read().bytes).size > 1, 'and the next pass is whole again');
  // A pid that cannot be: a walk over nothing, or over all.
  const none = tasks.read(0x7fff_fff0);
  t.notOk(pidsOf(none.bytes).has(0x7fff_fff0));
});

function pidsOf(bytes: Buffer): Set<number> {
  const pids = new Set<number>();
  for (let at = 0; at + 8 <= bytes.length; at += 8) pids.add(bytes.readUInt32LE(at));
  return pids;
}

t.test('maps', async (t) => {
  const table = object.map('table');
  const key = Uint8Array.of(1, 0, 0, 0);
  const out = new Uint8Array(table.lookupSizeBytes);
  t.equal(table.lookup(key, out), false);
  table.update(key, Uint8Array.of(7, 0, 0, 0, 0, 0, 0, 1));
  t.equal(table.lookup(key, out), true);
  t.same([...out], [7, 0, 0, 0, 0, 0, 0, 1]);
  table.update(Uint8Array.of(2, 0, 0, 0), out);
  t.equal(table.keys().length, 2);
  t.throws(() => table.update(Uint8Array.of(3, 0, 0, 0), out), { message: /E2BIG/ });
  t.equal(table.delete(key), true);
  t.equal(table.delete(key), false);
  t.same(
    table.keys().map((k) => [...k]),
    [[2, 0, 0, 0]],
  );
  t.throws(() => object.map('no_such_map'), { message: /ENOENT/ });
});

t.test('stop detaches, twice without harm', async (t) => {
  object.stop();
  object.stop();
  kernel.critical.drain(() => {});
  execFileSync('/bin/true');
  t.equal(
    kernel.critical.drain(() => {}),
    0,
  );
});
