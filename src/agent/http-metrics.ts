/** The listener behind `--metrics-port`: /metrics for Prometheus, /healthz and /readyz for the kubelet. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { errnoOf, messageOf, XctlError } from '../util/errors.js';
import type { Log } from '../util/log.js';
import type { MetricsListen } from './config.js';

export interface MetricsPages {
  readonly contentType: string;
  render(): Promise<string>;
  /** The event loop runs and the rings are being read; probes that are off do not count. */
  healthy(): boolean;
  /** Every probe is attached or has said why not. */
  ready(): boolean;
}

const MAX_CONNECTIONS = 64;
const MAX_HEADER_BYTES = 8192;
const REQUEST_TIMEOUT_MS = 5000;
const TEXT = 'text/plain; charset=utf-8';
const LANDING = `<!doctype html><title>xctl-agent</title><h1>xctl-agent</h1>
<ul><li><a href="/metrics">/metrics</a><li><a href="/healthz">/healthz</a><li><a href="/readyz">/readyz</a></ul>
`;

export class MetricsServer {
  readonly #listen: MetricsListen;
  readonly #pages: MetricsPages;
  readonly #log: Log;
  readonly #server: Server;
  /** The render in progress: any number of scrapers at once cost one. */
  #rendering: Promise<string> | undefined;

  constructor(listen: MetricsListen, pages: MetricsPages, log: Log) {
    this.#listen = listen;
    this.#pages = pages;
    this.#log = log.child({ component: 'metrics' });
    this.#server = createServer(
      {
        maxHeaderSize: MAX_HEADER_BYTES,
        headersTimeout: REQUEST_TIMEOUT_MS,
        requestTimeout: REQUEST_TIMEOUT_MS,
        connectionsCheckingInterval: 1000,
        keepAliveTimeout: REQUEST_TIMEOUT_MS,
      },
      (request, response) => void this.#answer(request, response),
    );
    this.#server.maxConnections = MAX_CONNECTIONS;
  }

  /**
   * @returns the port, which matters when 0 was asked for
   * @throws XctlError when the address is in use, not this host's or not allowed
   */
  async start(): Promise<number> {
    const { port, address } = this.#listen;
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', (error) => reject(cannotListen(this.#listen, error)));
      this.#server.listen({ port, ...(address !== undefined && { host: address }) }, resolve);
    });
    this.#server.removeAllListeners('error');
    this.#server.on('error', (error) => this.#log.warn('listener', { error: messageOf(error) }));
    const at = this.#server.address() as AddressInfo;
    this.#log.info('metrics listening', { address: at.address, port: at.port });
    return at.port;
  }

  async stop(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    // A scrape that is under way is worth less than ending in time.
    this.#server.closeAllConnections();
    await closed;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.on('error', () => {});
    // A body is never read: the connection ends with the answer instead.
    if (
      request.headers['content-length'] !== undefined ||
      request.headers['transfer-encoding'] !== undefined
    ) {
      response.setHeader('connection', 'close');
    }
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.setHeader('allow', 'GET, HEAD');
      send(response, 405, TEXT, 'only GET and HEAD\n');
      return;
    }
    switch (request.url?.split('?')[0]) {
      case '/':
        send(response, 200, 'text/html; charset=utf-8', LANDING);
        return;
      case '/healthz':
        sendState(response, this.#pages.healthy(), 'the rings are not being read');
        return;
      case '/readyz':
        sendState(response, this.#pages.ready(), 'probes are being attached');
        return;
      case '/metrics':
        await this.#sendMetrics(response);
        return;
      default:
        send(response, 404, TEXT, 'try /metrics, /healthz or /readyz\n');
    }
  }

  async #sendMetrics(response: ServerResponse): Promise<void> {
    try {
      this.#rendering ??= this.#pages.render().finally(() => {
        this.#rendering = undefined;
      });
      send(response, 200, this.#pages.contentType, await this.#rendering);
    } catch (error) {
      this.#log.error('cannot render metrics', { error: messageOf(error) });
      send(response, 500, TEXT, 'see the log of xctl-agent\n');
    }
  }
}

function sendState(response: ServerResponse, good: boolean, otherwise: string): void {
  send(response, good ? 200 : 503, TEXT, good ? 'ok\n' : `${otherwise}\n`);
}

function send(response: ServerResponse, status: number, contentType: string, body: string): void {
  response.writeHead(status, {
    'content-type': contentType,
    'content-length': Buffer.byteLength(body),
    'x-content-type-options': 'nosniff',
  });
  response.end(body);
}

function cannotListen({ port, address = 'all addresses' }: MetricsListen, error: Error): XctlError {
  switch (errnoOf(error)) {
    case 'EADDRINUSE':
      return new XctlError(
        `--metrics-port ${port} is in use on ${address}; give another port, or 0 for any`,
        { cause: error },
      );
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return new XctlError(`--metrics-address ${address} is no address of this host`, { cause: error });
    case 'EACCES':
      return new XctlError(`--metrics-port ${port} needs CAP_NET_BIND_SERVICE; give a port from 1024`, {
        cause: error,
      });
    default:
      return new XctlError(`cannot listen on ${address} port ${port} (${messageOf(error)})`, {
        cause: error,
      });
  }
}
