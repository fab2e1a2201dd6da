/** The test world itself: hosts that reach each other, real loss, workloads whose truths hold, nothing left. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import t from 'tap';
import { startTicks, startWorkload } from './proc.js';
import { openScope } from './scope.js';
import { until } from './until.js';
import { createWorld, sweep } from './world.js';

function namespaces(): string {
  return execFileSync('ip', ['netns', 'list'], { encoding: 'utf8' });
}

t.test('nothing is left to find out before the first packet', async (t) => {
  const world = await createWorld(t);
  for (const [at, other] of [
    ['a', world.b],
    ['b', world.a],
  ] as const) {
    t.match(await world.ip(at, '-o', 'link', 'show', 'dev', 'eth0'), / state UP /);
    const neighbours = await world.ip(at, 'neighbour', 'show', 'dev', 'eth0', 'nud', 'permanent');
    for (const address of [other.ipv4, other.ipv6])
      t.match(neighbours, `${address} lladdr ${other.mac} PERMANENT`);
  }
});

t.test('packets pass, are dropped, and pass again, over IPv4 and IPv6', async (t) => {
  const world = await createWorld(t);
  for (const host of [world.b.ipv4, world.b.ipv6]) {
    const server = await world.start('b', 'tcp_server', { host, do: 'echo' });
    const port = (await server.ready('listen')).number('port');
    const client = await world.start('a', 'tcp_client', { host, port, do: 'pingpong', rate: 10_000 });
    const conn = await client.ready('conn');
    t.equal(conn.pid, client.pid, 'the workload itself is what was started');
    t.ok(conn.text('remote').endsWith(`:${port}`));

    const backoff = async (): Promise<boolean> => {
      const sockets = execFileSync('ip', ['netns', 'exec', world.a.netns, 'ss', '-tino'], {
        encoding: 'utf8',
      });
      return /backoff:[1-9]/.test(sockets);
    };
    await world.drop({ at: 'b' });
    await until(backoff, { timeoutMs: 10_000, what: 'RTO backoff behind the drop' });
    await world.undrop();
    await until(async () => !(await backoff()), { timeoutMs: 10_000, what: 'the flow to recover' });
    await client.stop();
    await server.stop();
  }
});

t.test('a reset ends the connection', async (t) => {
  const world = await createWorld(t);
  const server = await world.start('b', 'tcp_server', { host: world.b.ipv4 });
  const port = (await server.ready('listen')).number('port');
  const client = await world.start('a', 'tcp_client', { host: world.b.ipv4, port, rate: 10_000 });
  await client.ready('conn');
  await world.reset('b', port);
  await client.ready('closed');
  t.equal((await client.exited).code, 0);
});

t.test('waits: each thread sleeps where it says, also when looked at from outside', async (t) => {
  const waits = await startWorkload(t, 'waits');
  const all = await waits.ready();
  t.equal(all.number('count'), waits.truths().length - 1);
  for (const truth of waits.truths()) {
    const stat = readFileSync(`/proc/${waits.pid}/task/${truth.tid}/stat`, 'utf8');
    t.equal(stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3), 'S', truth.kind);
  }
  const children = ['peer', 'child', 'owner'].flatMap((field) =>
    [...waits.stdout.join('\n').matchAll(new RegExp(`${field}=(\\d+)`, 'g'))].map((m) => Number(m[1])),
  );
  await waits.stop();
  await until(() => children.every((pid) => !existsSync(`/proc/${pid}`)), {
    timeoutMs: 5000,
    what: 'the children to die with their parent',
  });
});

t.test('a program that ends before it is ready says so', async (t) => {
  const broken = await startWorkload(t, 'waits', { kinds: 'no-such-wait' });
  await t.rejects(broken.ready(), { message: /waits ended \(code 99\) first; stderr: .*no-such-wait/ });
});

t.test('a closed scope leaves no namespace and no process', async (t) => {
  const scope = openScope();
  const world = await createWorld(scope);
  const server = await world.start('a', 'tcp_server', { host: world.a.ipv4 });
  await server.ready('listen');
  t.match(namespaces(), new RegExp(world.a.netns));
  await scope.close();
  t.notOk(existsSync(`/proc/${server.pid}`));
  t.notMatch(namespaces(), new RegExp(`${world.a.netns}|${world.b.netns}`));
});

t.test('a sweep removes what a dead creator left, and nothing of a live one', async (t) => {
  const mine = await createWorld(t);
  const dead = 'xctl-1-999999999999-0-a'; // pid 1 lives, but never started at that tick
  execFileSync('ip', ['netns', 'add', dead]);
  t.teardown(() => existsSync(`/run/netns/${dead}`) && execFileSync('ip', ['netns', 'delete', dead]));
  t.not(startTicks(1), '999999999999');
  await sweep();
  t.notOk(existsSync(`/run/netns/${dead}`));
  t.ok(existsSync(`/run/netns/${mine.a.netns}`));
});
