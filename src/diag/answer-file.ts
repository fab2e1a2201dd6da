/** An answer from a file: what `xctl why PID -o json` or `xctl diag PID -o json` printed, perhaps edited or made up since. */
import { open } from 'node:fs/promises';
import { isRecord, list, number, oneOf, optional, shape, text } from '../events/guards.js';
import type { ChainLink, Evidence, RootCause, Target, WhyAnswer } from '../scene/answer.js';
import { API_VERSION, SCENES } from '../scene/answer.js';
import { errnoOf, messageOf, UsageError } from '../util/errors.js';
import { printable } from '../util/text.js';

const MAX_BYTES = 16 << 20;

type Fields = Omit<WhyAnswer, 'scene' | 'subScene' | 'rootCause' | 'alternatives' | 'identifiedBy'>;

const isAnswer = shape<Fields>({
  apiVersion: oneOf(API_VERSION),
  node: text,
  ts: text,
  target: shape<Target>({
    pid: number,
    startTime: text,
    comm: text,
    state: oneOf('running', 'exited'),
    tid: optional(number),
  }),
  verdict: oneOf('cause-found', 'symptom-only', 'healthy', 'unknown'),
  confidence: number,
  summary: text,
  chain: list(
    shape<ChainLink>({
      from: text,
      edge: oneOf('Consumes', 'WaitsOn', 'BlockedBy'),
      to: text,
      sinceMs: number,
      evidence: list(text),
      tid: optional(number),
      note: optional(text),
    }),
  ),
  evidence: list(
    shape<Evidence>({
      id: text,
      ts: text,
      probe: text,
      type: text,
      entity: text,
      value: number,
      unit: text,
      detail: optional(text),
    }),
  ),
  recommendations: list(text),
});
const isRootCause = shape<RootCause>({ node: text, type: text, summary: text });
const isScene = oneOf(...SCENES);

/** @throws UsageError it cannot be read, or holds no answer */
export async function readAnswer(path: string): Promise<WhyAnswer> {
  const value = parse(await readBounded(path), path);
  const answer = isRecord(value) && isRecord(value.why) ? value.why : value;
  if (isAnswer(answer) && Number.isFinite(Date.parse(answer.ts)) && isRecord(answer)) {
    const { scene = null, subScene = null, rootCause = null } = answer as Readonly<Record<string, unknown>>;
    if (
      (scene === null || isScene(scene)) &&
      (subScene === null || text(subScene)) &&
      (rootCause === null || isRootCause(rootCause))
    ) {
      return { ...answer, scene, subScene, rootCause };
    }
  }
  throw new UsageError(`${printable(path)} holds no answer; make one with: xctl why PID -o json`);
}

async function readBounded(path: string): Promise<string> {
  try {
    const file = await open(path, 'r');
    try {
      const its = await file.stat();
      if (!its.isFile() || its.size > MAX_BYTES)
        throw new UsageError(`${printable(path)} is no file of at most 16 MiB`);
      return (await file.readFile()).toString('utf8');
    } finally {
      await file.close();
    }
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw new UsageError(`cannot read ${printable(path)} (${errnoOf(error) ?? messageOf(error)})`, {
      cause: error,
    });
  }
}

function parse(json: string, path: string): unknown {
  try {
    return JSON.parse(json);
  } catch (error) {
    throw new UsageError(`${printable(path)} is no JSON; make one with: xctl why PID -o json`, {
      cause: error,
    });
  }
}
