/**
 * One JSON request to a server that may be broken, slow or hostile: one deadline over everything from the
 * connection to the last byte, a bound on the bytes, no redirects (they would carry evidence and key to
 * somebody else), and every failure as one line that says what it was.
 */
import { type IncomingHttpHeaders, request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { errnoOf, messageOf, XctlError } from '../util/errors.js';
import { printable } from '../util/text.js';

/** The other side did not give what was asked; `message` says why in one line. */
export class RemoteError extends XctlError {
  override readonly name = 'RemoteError';
  /** Absent where no answer came. */
  readonly status: number | undefined;

  constructor(message: string, status?: number, options?: ErrorOptions) {
    super(message, options);
    this.status = status;
  }
}

export interface JsonRequest {
  readonly method: 'GET' | 'POST' | 'PUT';
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  /** From now to the last byte. */
  readonly timeoutMs: number;
  readonly maxBytes: number;
  /** Gives up at Ctrl-C. */
  readonly signal: AbortSignal;
}

const MAX_WORDS = 160;

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

/** The parsed body of a 2xx answer. @throws RemoteError */
export async function requestJson(request: JsonRequest): Promise<unknown> {
  return parse(await exchange(request), secretsOf(request.headers ?? {}));
}

/** A connection of its own, gone when this is settled: nothing of it is left to keep the program from ending. */
function exchange(request: JsonRequest): Promise<Answer> {
  const { method, url, timeoutMs, maxBytes, signal } = request;
  const body = request.body === undefined ? undefined : Buffer.from(JSON.stringify(request.body));
  return new Promise((resolve, reject) => {
    const ask = (url.startsWith('https:') ? httpsRequest : httpRequest)(url, {
      method,
      agent: false,
      headers: {
        accept: 'application/json',
        'accept-encoding': 'identity',
        ...(body !== undefined && { 'content-type': 'application/json', 'content-length': body.length }),
        ...request.headers,
      },
    });
    const fail = (error: RemoteError): void => {
      settled();
      reject(error);
      ask.destroy();
    };
    const onAbort = (): void => fail(new RemoteError('interrupted'));
    const timer = setTimeout(
      () => fail(new RemoteError(`no whole answer within ${timeoutMs / 1000} s`)),
      timeoutMs,
    );
    const settled = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
    };
    // Stays: what is destroyed may complain later.
    ask.on('error', (error) => fail(unreachable(error)));
    ask.on('response', (response) => {
      const status = response.statusCode ?? 0;
      const parts: Buffer[] = [];
      let sizeBytes = 0;
      response.on('data', (part: Buffer) => {
        sizeBytes += part.length;
        if (sizeBytes > maxBytes) fail(new RemoteError(`its answer is over ${maxBytes >> 10} KiB`, status));
        else parts.push(part);
      });
      response.on('end', () => {
        settled();
        resolve({ status, headers: response.headers, text: Buffer.concat(parts).toString('utf8') });
      });
      response.on('error', (error) => fail(unreachable(error)));
    });
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort);
    ask.end(body);
  });
}

/** The keys among the headers: a server that repeats what it was sent must not put them on a screen. */
function secretsOf(headers: Readonly<Record<string, string>>): readonly string[] {
  return ['authorization', 'x-api-key', 'api-key'].flatMap((name) => headers[name]?.split(' ').at(-1) ?? []);
}

function parse({ status, headers, text }: Answer, secrets: readonly string[]): unknown {
  if (status >= 300 && status < 400) {
    throw new RemoteError(
      `HTTP ${status}: it sends us elsewhere, which is not followed; check the URL`,
      status,
    );
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    if (status === 429) throw new RemoteError(rateLimited(headers), status, { cause: error });
    const what = isHtml(text) ? 'an HTML page' : text === '' ? 'nothing' : 'no JSON';
    const advice = isHtml(text) ? '; is the URL the base of the API?' : '';
    throw new RemoteError(`HTTP ${status}: it answered with ${what}${advice}`, status, { cause: error });
  }
  if (status === 429) throw new RemoteError(rateLimited(headers), status);
  if (status < 200 || status >= 300) throw new RemoteError(`HTTP ${status}${saidIn(value, secrets)}`, status);
  return value;
}

function rateLimited(headers: IncomingHttpHeaders): string {
  const after = headers['retry-after'];
  const wait =
    after === undefined || !/^[\w ,:+-]{1,40}$/.test(after)
      ? ''
      : `; it asks to wait ${/^\d+$/.test(after) ? `${after} s` : `until ${after}`}`;
  return `rate limit reached (HTTP 429)${wait}`;
}

/** The words of an error body, of any of the usual shapes. */
function saidIn(value: unknown, secrets: readonly string[]): string {
  const words = wordsOf(value, ['message', 'error', 'detail', 'status'], 3);
  if (words === undefined) return '';
  const told = secrets.reduce((kept, secret) => kept.replaceAll(secret, '…'), words.replace(/\s+/g, ' '));
  return `: ${printable(told, MAX_WORDS)}`;
}

function wordsOf(value: unknown, keys: readonly string[], depth: number): string | undefined {
  if (typeof value === 'string') return value;
  if (typeof value !== 'object' || value === null || depth === 0) return undefined;
  for (const key of keys) {
    if (!Object.hasOwn(value, key)) continue;
    const words = wordsOf((value as Readonly<Record<string, unknown>>)[key], keys, depth - 1);
    if (words !== undefined) return words;
  }
  return undefined;
}

function isHtml(text: string): boolean {
  return /^\s*</.test(text);
}

/** `localhost` is tried by both of its addresses: the error is a list of errors. */
function unreachable(error: unknown): RemoteError {
  const inner: unknown = error instanceof AggregateError ? error.errors[0] : error;
  const reason = errnoOf(inner) ?? errnoOf(error) ?? messageOf(inner);
  return new RemoteError(`cannot be reached (${printable(reason, MAX_WORDS)})`, undefined, { cause: error });
}
