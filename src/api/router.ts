/** From a request line to what the agent is to do, and from an error to what the asker is told. */
import { NoProcessError, RefusedError, UsageError, XctlError } from '../util/errors.js';
import type { AgentBackend, Asker, ErrorBody } from './contract.js';
import { PATHS, PID_NS_PARAMETER, parsePid } from './paths.js';
import { type EventFilter, filterOfQuery } from './stream.js';

export type Route =
  | { readonly kind: 'answer'; readonly answer: () => Promise<unknown> }
  | { readonly kind: 'health' }
  | { readonly kind: 'events'; readonly filter: EventFilter };

/** The asker wanted something that is not there. */
export class NoRouteError extends XctlError {
  override readonly name = 'NoRouteError';
}

/**
 * @param target path and query, as in the request line
 * @throws NoRouteError UsageError
 */
export function routeOf(target: string, backend: AgentBackend): Route {
  const mark = target.indexOf('?');
  const path = mark === -1 ? target : target.slice(0, mark);
  const query = new URLSearchParams(mark === -1 ? '' : target.slice(mark));
  switch (path) {
    case PATHS.health:
      return { kind: 'health' };
    case PATHS.version:
      return { kind: 'answer', answer: async () => backend.version() };
    case PATHS.doctor:
      return { kind: 'answer', answer: () => backend.doctor() };
    case PATHS.ps:
      return { kind: 'answer', answer: () => backend.ps() };
    case PATHS.why:
      return { kind: 'answer', answer: () => backend.findings() };
    case PATHS.graph:
      return { kind: 'answer', answer: () => backend.graph() };
    case PATHS.rdmaTrace: {
      const seconds = query.get('seconds') ?? '';
      if (!/^\d{1,3}$/.test(seconds)) throw new UsageError(`${path} wants ?seconds=, e.g. 10`);
      return { kind: 'answer', answer: () => backend.traceVerbs(Number(seconds)) };
    }
    case PATHS.events:
      return { kind: 'events', filter: filterOfQuery(query) };
    default:
      if (path.startsWith(`${PATHS.why}/`)) {
        const { pid, asker } = processOf(path, PATHS.why, query);
        return { kind: 'answer', answer: () => backend.why(pid, asker) };
      }
      if (path.startsWith(`${PATHS.diagnosis}/`)) {
        const { pid, asker } = processOf(path, PATHS.diagnosis, query);
        return { kind: 'answer', answer: () => backend.diagnosis(pid, asker) };
      }
      throw new NoRouteError(`no ${path} here; there are ${KNOWN.join(' ')}`);
  }
}

const KNOWN = [
  ...Object.values(PATHS).filter((path) => path !== PATHS.diagnosis),
  `${PATHS.why}/PID`,
  `${PATHS.diagnosis}/PID`,
];

function processOf(
  path: string,
  under: string,
  query: URLSearchParams,
): { readonly pid: number; readonly asker: Asker } {
  const pid = parsePid(path.slice(under.length + 1));
  if (pid === undefined) throw new UsageError(`PID must be a number from 1 to 4194304, e.g. ${under}/4242`);
  const pidNs = query.get(PID_NS_PARAMETER) ?? '0';
  if (!/^\d{1,15}$/.test(pidNs)) throw new UsageError(`${PID_NS_PARAMETER} must be an inode number`);
  return { pid, asker: { pidNs: Number(pidNs) } };
}

export interface ErrorAnswer {
  readonly status: number;
  readonly body: ErrorBody;
}

/** What is told of an error. Anything that was not thrown on purpose is `internal`. */
export function errorAnswer(error: unknown): ErrorAnswer {
  if (error instanceof NoProcessError) return answer(404, 'no-process', error.message);
  if (error instanceof NoRouteError) return answer(404, 'usage', error.message);
  if (error instanceof UsageError) return answer(400, 'usage', error.message);
  if (error instanceof RefusedError) return answer(403, 'refused', error.message);
  return answer(500, 'internal', error instanceof Error ? error.message : String(error));
}

function answer(status: number, code: ErrorBody['error']['code'], message: string): ErrorAnswer {
  return { status, body: { error: { code, message } } };
}
