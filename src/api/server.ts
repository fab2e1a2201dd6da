/** The agent's HTTP server on its unix socket: limits, streams, errors; what is answered is the backend's. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { messageOf, RefusedError, XctlError } from '../util/errors.js';
import type { Log } from '../util/log.js';
import type { AgentBackend } from './contract.js';
import { EventStreams, type StreamLimits, type StreamStats } from './event-streams.js';
import type { Health } from './paths.js';
import { errorAnswer, routeOf } from './router.js';
import { type ClaimedSocket, claimSocket } from './socket.js';

export interface ServerLimits extends StreamLimits {
  readonly maxHeaderBytes: number;
  readonly maxConnections: number;
  /** For the request to arrive. */
  readonly requestTimeoutMs: number;
  /** For the backend to answer it. */
  readonly answerTimeoutMs: number;
  /** For open answers and streams to end at stop(). */
  readonly stopMs: number;
}

export const DEFAULT_LIMITS: ServerLimits = {
  maxHeaderBytes: 8192,
  maxConnections: 128,
  requestTimeoutMs: 5000,
  answerTimeoutMs: 20_000,
  stopMs: 500,
  maxStreams: 16,
  maxUnreadBytes: 1 << 20,
  stalledMs: 30_000,
};

export interface ApiServerOptions {
  readonly socketPath: string;
  readonly backend: AgentBackend;
  readonly log: Log;
  readonly limits?: Partial<ServerLimits>;
  /** `/etc/group`, unless a test says otherwise. */
  readonly groupFile?: string;
}

export interface ServerStats extends StreamStats {
  readonly requestsTotal: number;
  readonly errorsTotal: number;
  /** Connections turned away because too many were open. */
  readonly refusedTotal: number;
}

export class ApiServer {
  readonly #options: ApiServerOptions;
  readonly #limits: ServerLimits;
  readonly #server: Server;
  readonly #streams: EventStreams;
  #socket: ClaimedSocket | undefined;
  #stopping: Promise<void> | undefined;
  #requestsTotal = 0;
  #errorsTotal = 0;
  #refusedTotal = 0;

  constructor(options: ApiServerOptions) {
    this.#options = options;
    this.#limits = { ...DEFAULT_LIMITS, ...options.limits };
    this.#streams = new EventStreams(
      (listener) => options.backend.subscribe(listener),
      this.#limits,
      options.log,
    );
    this.#server = createServer(
      {
        maxHeaderSize: this.#limits.maxHeaderBytes,
        headersTimeout: this.#limits.requestTimeoutMs,
        requestTimeout: this.#limits.requestTimeoutMs,
        connectionsCheckingInterval: Math.min(1000, this.#limits.requestTimeoutMs),
        keepAliveTimeout: 1000,
      },
      (request, response) => void this.#serve(request, response),
    );
    this.#server.maxConnections = this.#limits.maxConnections;
    this.#server.on('drop', () => {
      this.#refusedTotal++;
    });
  }

  get stats(): ServerStats {
    return {
      ...this.#streams.stats,
      requestsTotal: this.#requestsTotal,
      errorsTotal: this.#errorsTotal,
      refusedTotal: this.#refusedTotal,
    };
  }

  /** @throws RefusedError another agent answers at the path, or no permission. UsageError path too long. */
  async start(): Promise<void> {
    const { socketPath: path, log, groupFile } = this.#options;
    try {
      this.#socket = await claimSocket(this.#server, {
        path,
        log,
        ...(groupFile !== undefined && { groupFile }),
      });
    } catch (error) {
      this.#server.close();
      throw error;
    }
    // SIGTERM may have come while the socket was being claimed.
    if (this.#stopping !== undefined) this.#socket.release();
    else log.info('listening', { socket: path });
  }

  /** Ends every stream, lets answers finish for `stopMs`, removes the socket if it is still ours. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    this.#socket?.release();
    this.#streams.stop();
    await new Promise<void>((resolve) => {
      const cut = setTimeout(() => this.#server.closeAllConnections(), this.#limits.stopMs);
      this.#server.close(() => {
        clearTimeout(cut);
        resolve();
      });
      this.#server.closeIdleConnections();
    });
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.#requestsTotal++;
    // A client that goes away in the middle is its own affair.
    response.on('error', () => {});
    try {
      refuseUnlessPlainGet(request);
      const route = routeOf(request.url ?? '/', this.#options.backend);
      switch (route.kind) {
        case 'health': {
          const health: Health = { ok: this.#options.backend.healthy(), pid: process.pid };
          return send(response, health.ok ? 200 : 503, health);
        }
        case 'events':
          if (this.#streams.full) {
            throw new RefusedError(`${this.#limits.maxStreams} readers of events are connected already`);
          }
          return this.#streams.open(response, route.filter);
        case 'answer':
          return send(response, 200, await withTimeout(route.answer(), this.#limits.answerTimeoutMs));
      }
    } catch (error) {
      this.#fail(request, response, error);
    }
  }

  #fail(request: IncomingMessage, response: ServerResponse, error: unknown): void {
    const { status, body } = errorAnswer(error);
    if (status >= 500) {
      this.#errorsTotal++;
      this.#options.log.error('request failed', {
        url: request.url,
        error: messageOf(error),
        stack: error instanceof Error ? error.stack : undefined,
      });
    }
    if (response.headersSent) response.destroy();
    else send(response, status, body);
  }
}

/** The API only answers questions; a body is a mistake and is never read. */
function refuseUnlessPlainGet(request: IncomingMessage): void {
  if (request.method !== 'GET')
    throw new RefusedError(`${request.method} is not answered; the API is GET only`);
  if (
    request.headers['transfer-encoding'] !== undefined ||
    Number(request.headers['content-length'] ?? 0) > 0
  ) {
    throw new RefusedError('a request with a body is not answered');
  }
}

function send(response: ServerResponse, status: number, body: unknown): void {
  const text = Buffer.from(JSON.stringify(body));
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': text.length,
    'cache-control': 'no-store',
    // Whatever else the client sends after a refused request must not be read as the next one.
    ...(status >= 400 && { connection: 'close' }),
  });
  response.end(text);
}

async function withTimeout<T>(answer: Promise<T>, timeoutMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(
      () => reject(new XctlError(`the agent found no answer within ${timeoutMs / 1000} s`)),
      timeoutMs,
    );
    // A question that nobody answers must not hold a stopped agent.
    timer.unref();
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}
