/** `xctl diag` of a process with queue pairs: what it posts is looked at where no cause is known, and costs no answer. */
import t, { type Test } from 'tap';
import type { StreamLine } from '../../src/api/stream.js';
import { lookAtPosts } from '../../src/cli/posts.js';
import { createTerminal } from '../../src/cli/terminal.js';
import { renderKnown } from '../../src/cli/render/diag.js';
import { diagnose } from '../../src/diag/diagnose.js';
import type { PostsSeen } from '../../src/diag/diagnosis.js';
import type { DiagnosisInput } from '../../src/rules/diagnosis-input.js';
import type { WhyAnswer } from '../../src/scene/answer.js';
import { NoAgentError, RefusedError } from '../../src/util/errors.js';
import { inputOf, NO_HELPERS } from '../diag/fixtures.js';
import { HEALTHY, UNKNOWN, WHY } from './answers.js';
import { runCli, type Served, serve } from './helpers.js';

function line(entity: string, attrs: Readonly<Record<string, unknown>>): StreamLine {
  return { ts: 1, type: 'rdma.posts', entity, pid: 77, value: 0, attrs, probe: 'rdma-trace' };
}

function withQps(answer: WhyAnswer, queuePairs: number): DiagnosisInput {
  return { ...inputOf(answer), queuePairs };
}

/** A client whose agent says these events. */
function seer(lines: readonly StreamLine[], again = withQps(UNKNOWN, 3)) {
  const asked: (string | number)[] = [];
  return {
    asked,
    client: {
      traceVerbs: async (seconds: number) => ({ state: 'begun' as const, seconds }),
      events: async (
        { pid }: { readonly pid?: number },
        _over: AbortSignal,
        take: (lines: readonly StreamLine[]) => Promise<void>,
      ) => {
        asked.push(`events of ${pid}`);
        await take(lines.slice(0, 1));
        await take(lines.slice(1));
      },
      diagnosis: async (pid: number) => {
        asked.push(pid);
        return again;
      },
    },
  };
}

const out = { write: () => true, once: () => undefined };
const terminal = createTerminal({ stdout: out, stderr: out, env: {} }, true);
const context = { terminal, signal: new AbortController().signal };

t.test('posts are added up by queue pair, and the agent is asked again', async (t) => {
  const { client, asked } = seer([
    line('qp:rxe0/17', { posts: 5, bytes: 100, outstanding: 9 }),
    line('qp:rxe0/17', { posts: 2, bytes: 40, outstanding: 1 }),
    { dropped: 4 },
    line('qp:rxe0/18', { posts: 1, bytes: 8, outstanding: 3 }),
    line('qp:rxe0/19', { posts: 0, bytes: 0 }),
    line('qp:rxe0/19', { posts: 'many', bytes: -1, outstanding: Number.NaN }),
  ]);
  const first = withQps(UNKNOWN, 2);
  const { posts, queuePairs } = await lookAtPosts(client, 7, first, context);
  t.match(posts, { postedTo: 2, posts: 8, bytes: 148, outstanding: 4, missed: 4, refused: null });
  t.equal(posts?.queuePairs, 2);
  t.equal(queuePairs, 3, 'as it is now');
  t.same(asked, [`events of ${UNKNOWN.target.pid}`, 7], 'by the number that was typed');
});

t.test('a driver that does not tell what is outstanding', async (t) => {
  const { client } = seer([line('qp:mlx5_0/291', { posts: 5, bytes: 100 })]);
  const { posts } = await lookAtPosts(client, 77, withQps(UNKNOWN, 1), context);
  t.match(posts, { posts: 5, outstanding: null });
});

t.test('refused, or the agent ends: the first answer stays, and why is said', async (t) => {
  const first = withQps(UNKNOWN, 2);
  const { client, asked } = seer([]);
  const refuses = { ...client, traceVerbs: () => Promise.reject(new RefusedError('it was too dear')) };
  const refused = await lookAtPosts(refuses, 77, first, context);
  t.match(refused, { queuePairs: 2, posts: { refused: 'it was too dear', posts: 0 } });
  t.same(asked, []);
  const ends = { ...client, events: () => Promise.reject(new NoAgentError('it ended')) };
  t.match((await lookAtPosts(ends, 77, first, context)).posts, { refused: 'it ended' });
  const broken = { ...client, traceVerbs: () => Promise.reject(new TypeError('a bug')) };
  await t.rejects(lookAtPosts(broken, 77, first, context), TypeError);
});

/** Nothing is looked at for seconds: it is refused. */
async function refusing(t: Test, answer: WhyAnswer, queuePairs: number): Promise<Served> {
  const served = await serve(t);
  served.backend.answers.diagnosis = async () => withQps(answer, queuePairs);
  served.backend.answers.traceVerbs = () => Promise.reject(new RefusedError('no RDMA device'));
  return served;
}

t.test('only where it has queue pairs and no cause is known, and nobody said --no-trace', async (t) => {
  for (const [answer, queuePairs, words, traced] of [
    [UNKNOWN, 2, [], 1],
    [HEALTHY, 1, [], 1],
    [UNKNOWN, 2, ['--offline'], 1],
    [UNKNOWN, 2, ['--no-trace'], 0],
    [UNKNOWN, 0, [], 0],
    [WHY, 2, [], 0],
  ] as const) {
    const { path, backend } = await refusing(t, answer, queuePairs);
    const ran = await runCli(['diag', '77', ...words, '--socket', path]);
    t.match(ran, { code: 0, stderr: '' });
    t.equal(backend.traced.length, traced, `${answer.verdict} ${queuePairs} ${words.join(' ')}`);
    t.equal(/What it posts \(RDMA\)\n +not looked at: no RDMA device/.test(ran.stdout), traced === 1);
  }
});

t.test('in words', async (t) => {
  const seen: PostsSeen = {
    windowMs: 4_000,
    queuePairs: 4,
    postedTo: 2,
    posts: 120,
    bytes: 12_345,
    outstanding: null,
    missed: 0,
    refused: null,
  };
  for (const [more, words] of [
    [{}, '120 work requests in 4.0 s, 12,345 bytes (12.1 KiB), to 2 of its 4 queue pairs'],
    [{ missed: 9, outstanding: 3 }, 'at least 120 work requests in 4.0 s'],
    [{ outstanding: 3 }, 'to 2 of its 4 queue pairs; 3 posted and not completed'],
    [{ posts: 0, postedTo: 0, bytes: 0 }, 'no post was seen in 4.0 s to any of its 4 queue pairs; a program'],
  ] as const) {
    const diagnosis = await diagnose({ ...withQps(UNKNOWN, 4), posts: { ...seen, ...more } }, NO_HELPERS);
    const text = renderKnown(diagnosis, terminal.style).replace(/\s+/g, ' ');
    t.ok(text.includes('What it posts (RDMA)') && text.includes(words), text);
  }
});

t.test('-o json has it', async (t) => {
  const { path } = await refusing(t, UNKNOWN, 2);
  const ran = await runCli(['diag', '77', '--socket', path, '-o', 'json']);
  t.match(JSON.parse(ran.stdout), { posts: { queuePairs: 2, posts: 0, refused: 'no RDMA device' } });
  const { path: other } = await refusing(t, WHY, 2);
  t.match(JSON.parse((await runCli(['diag', '77', '--socket', other, '-o', 'json'])).stdout), {
    posts: null,
  });
});
