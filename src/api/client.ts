/** Asks the agent over its unix socket. Every failure is an XctlError that says what to type. */
import { readlinkSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { connect } from 'node:net';
import type { Findings, WhyAnswer } from '../scene/answer.js';
import { API_VERSION } from '../scene/answer.js';
import {
  errnoOf,
  messageOf,
  NoAgentError,
  NoProcessError,
  RefusedError,
  UsageError,
  XctlError,
} from '../util/errors.js';
import { LineSplitter } from '../util/lines.js';
import type {
  DiagnosisInput,
  DoctorReport,
  ErrorBody,
  GraphView,
  ProcessList,
  VerbsSpellView,
  VersionInfo,
} from './contract.js';
import { PATHS, PID_NS_PARAMETER } from './paths.js';
import { type EventFilter, filterToQuery, parseStreamLine, type StreamLine } from './stream.js';

export interface ClientOptions {
  readonly socketPath: string;
  /** For a whole answer; for a stream, until its head. */
  readonly timeoutMs: number;
  /** Gives up what is being asked; the promise then rejects with its reason. */
  readonly signal?: AbortSignal;
}

/** A graph of a million edges is about 150 MB; anything beyond this is not an answer. */
const MAX_ANSWER_BYTES = 400 << 20;
const MAX_LINE_BYTES = 1 << 20;

export class AgentClient {
  readonly #options: ClientOptions;

  constructor(options: ClientOptions) {
    this.#options = options;
  }

  version(): Promise<VersionInfo> {
    return this.#ask<VersionInfo>(PATHS.version);
  }

  doctor(): Promise<DoctorReport> {
    return this.#askVersioned<DoctorReport>(PATHS.doctor);
  }

  ps(): Promise<ProcessList> {
    return this.#askVersioned<ProcessList>(PATHS.ps);
  }

  /** @throws NoProcessError */
  why(pid: number): Promise<WhyAnswer> {
    return this.#askVersioned<WhyAnswer>(`${PATHS.why}/${pid}?${PID_NS_PARAMETER}=${ownPidNs()}`);
  }

  /** @param seconds 30 at most. @throws RefusedError somebody does it already, it is too dear, or there is no RDMA */
  traceVerbs(seconds: number): Promise<VerbsSpellView> {
    return this.#ask<VerbsSpellView>(`${PATHS.rdmaTrace}?seconds=${seconds}`);
  }

  /** @throws NoProcessError */
  diagnosis(pid: number): Promise<DiagnosisInput> {
    return this.#askVersioned<DiagnosisInput>(`${PATHS.diagnosis}/${pid}?${PID_NS_PARAMETER}=${ownPidNs()}`);
  }

  findings(): Promise<Findings> {
    return this.#askVersioned<Findings>(PATHS.why);
  }

  graph(): Promise<GraphView> {
    return this.#askVersioned<GraphView>(PATHS.graph);
  }

  /**
   * Events from now on, until the signal or the agent ends it; the agent's end is a NoAgentError.
   * Stops reading while `take` has not come back, so that a slow consumer costs the agent's bound only.
   */
  async events(
    filter: EventFilter,
    signal: AbortSignal,
    take: (lines: readonly StreamLine[]) => Promise<void>,
  ): Promise<void> {
    const query = filterToQuery(filter);
    let response: IncomingMessage | undefined;
    let lines: StreamLine[] = [];
    const splitter = new LineSplitter(MAX_LINE_BYTES, (text) => {
      const line = parseStreamLine(text);
      if (line !== undefined) lines.push(line);
    });
    const stop = (): void => void response?.destroy();
    signal.addEventListener('abort', stop);
    try {
      response = await this.#open(query === '' ? PATHS.events : `${PATHS.events}?${query}`, signal);
      for await (const chunk of response as AsyncIterable<Buffer>) {
        splitter.push(chunk);
        if (lines.length === 0) continue;
        const batch = lines;
        lines = [];
        await take(batch);
      }
    } catch (error) {
      if (signal.aborted) return;
      throw this.#explain(error);
    } finally {
      signal.removeEventListener('abort', stop);
      response?.destroy();
    }
    if (!signal.aborted) throw new NoAgentError(`the agent at ${this.#options.socketPath} ended the stream`);
  }

  async #askVersioned<T extends { readonly apiVersion: typeof API_VERSION }>(path: string): Promise<T> {
    const answer = await this.#ask<T>(path);
    const version: unknown = answer.apiVersion;
    if (version !== API_VERSION) {
      throw new XctlError(
        `the agent speaks ${JSON.stringify(version)} and this xctl ${API_VERSION}; install the same version of both`,
      );
    }
    return answer;
  }

  async #ask<T>(path: string): Promise<T> {
    const text = await this.#text(path);
    try {
      return JSON.parse(text) as T;
    } catch (error) {
      throw this.#explain(error);
    }
  }

  #text(path: string): Promise<string> {
    return this.#request(path, this.#options.signal, readText);
  }

  #open(path: string, signal: AbortSignal): Promise<IncomingMessage> {
    return this.#request(path, signal, (response) => Promise.resolve(response));
  }

  /** Sends the request; `read` gets a 200, everything else becomes an error. */
  #request<T>(
    path: string,
    signal: AbortSignal | undefined,
    read: (response: IncomingMessage) => Promise<T>,
  ): Promise<T> {
    const { socketPath, timeoutMs } = this.#options;
    return new Promise<T>((resolve, reject) => {
      // Without an Agent, which would pool what is asked once and cost 5 ms of start-up.
      const ask = request({ path, headers: { host: 'xctl' }, createConnection: () => connect(socketPath) });
      const giveUp = (reason: unknown): void => {
        settled();
        reject(reason);
        ask.destroy();
      };
      const onAbort = (): void => giveUp(signal?.reason);
      const timer = setTimeout(() => giveUp(this.#late()), timeoutMs);
      const settled = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
      };
      const fail = (error: unknown): void => {
        settled();
        reject(this.#explain(error));
      };
      ask.on('error', fail);
      ask.on('response', (response) => {
        const answer = response.statusCode === 200 ? read(response) : readText(response).then(throwErrorBody);
        answer.then((value) => {
          settled();
          resolve(value);
        }, fail);
      });
      if (signal?.aborted === true) onAbort();
      signal?.addEventListener('abort', onAbort);
      ask.end();
    });
  }

  #late(): XctlError {
    const { socketPath, timeoutMs } = this.#options;
    return new XctlError(
      `the agent at ${socketPath} did not answer within ${timeoutMs / 1000} s; try --timeout ${Math.ceil(timeoutMs / 250)}, or: systemctl status xctl-agent`,
    );
  }

  #explain(error: unknown): unknown {
    const errno = errnoOf(error);
    const { socketPath } = this.#options;
    switch (errno) {
      case 'ENOENT':
      case 'ECONNREFUSED':
        return new NoAgentError(
          `no agent at ${socketPath} (${errno}); start it with: systemctl start xctl-agent`,
          { cause: error },
        );
      case 'ENOTSOCK':
      case 'ENOTDIR':
      case 'EPROTOTYPE':
        return new NoAgentError(`${socketPath} is not an agent's socket (${errno}); see --socket`, {
          cause: error,
        });
      case 'EACCES':
      case 'EPERM':
        return new RefusedError(`${socketPath} is root:xctl 0660 (${errno}); join group xctl or use sudo`, {
          cause: error,
        });
      case 'ECONNRESET':
      case 'EPIPE':
        return new NoAgentError(
          `the agent at ${socketPath} closed the connection (${errno}): it is stopping, or too many are connected; try again`,
          { cause: error },
        );
      default:
        if (error instanceof XctlError) return error;
        return new XctlError(`the answer from ${socketPath} cannot be read: ${messageOf(error)}`, {
          cause: error,
        });
    }
  }
}

/** Inode of the pid namespace that our numbers belong to; 0 when /proc does not say. */
function ownPidNs(): number {
  try {
    return Number(/^pid:\[(\d+)\]$/.exec(readlinkSync('/proc/self/ns/pid'))?.[1] ?? 0);
  } catch {
    return 0;
  }
}

function readText(response: IncomingMessage): Promise<string> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    let sizeBytes = 0;
    response.on('data', (part: Buffer) => {
      sizeBytes += part.length;
      if (sizeBytes > MAX_ANSWER_BYTES) {
        response.destroy(new XctlError(`the agent's answer is over ${MAX_ANSWER_BYTES >> 20} MiB`));
        return;
      }
      parts.push(part);
    });
    response.on('end', () => resolve(Buffer.concat(parts).toString('utf8')));
    response.on('error', reject);
  });
}

function throwErrorBody(text: string): never {
  const { code, message } = errorOf(text);
  switch (code) {
    case 'no-process':
      throw new NoProcessError(message);
    case 'refused':
      throw new RefusedError(message);
    case 'usage':
      throw new UsageError(message);
    default:
      throw new XctlError(`the agent failed: ${message}`);
  }
}

function errorOf(text: string): { readonly code: string; readonly message: string } {
  try {
    const body = JSON.parse(text) as ErrorBody;
    return { code: String(body.error.code), message: String(body.error.message) };
  } catch {
    return { code: 'internal', message: text.slice(0, 200) };
  }
}
