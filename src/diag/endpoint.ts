/** Where a question may be sent, and which key goes with it. A key never travels in the clear, nor to a host it was not made for. */
import { UsageError } from '../util/errors.js';
import { printable } from '../util/text.js';

export type Environment = Readonly<Record<string, string | undefined>>;

/** Without credentials, query or fragment, and without a slash at its end. @throws UsageError */
export function checkUrl(text: string, flag: string, example: string): URL {
  const instead = `, e.g. ${flag} ${example}`;
  const shown = printable(text.replace(/\/\/[^/@]*@/, '//…@'), 120);
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw new UsageError(`${flag} must be an http or https URL, not ${JSON.stringify(shown)}${instead}`);
  }
  if (url.username !== '' || url.password !== '') {
    throw new UsageError(`${flag} must hold no user or password: keys come from the environment${instead}`);
  }
  if (url.search !== '' || url.hash !== '') {
    throw new UsageError(`${flag} must hold no ? and no #${instead}`);
  }
  return url;
}

/** The URL of `path` below the base. */
export function below(base: URL, path: string): string {
  return `${base.origin}${base.pathname.replace(/\/+$/, '')}${path}`;
}

export function isLoopback({ hostname }: URL): boolean {
  return (
    hostname === 'localhost' || hostname === '[::1]' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(hostname)
  );
}

/**
 * @param names of variables, the first that is set counts
 * @throws UsageError it would go over the network unencrypted, or cannot be sent at all
 */
export function keyFor(url: URL, env: Environment, names: readonly string[]): string | undefined {
  const name = names.find((candidate) => (env[candidate] ?? '') !== '');
  const key = name === undefined ? undefined : env[name]?.trim();
  if (key === undefined || name === undefined) return undefined;
  if (!/^[\x21-\x7e]{1,4096}$/.test(key))
    throw new UsageError(`${name} holds no key: it has blanks or control characters in it`);
  if (url.protocol !== 'https:' && !isLoopback(url)) {
    throw new UsageError(
      `${name} would be sent to ${url.host} unencrypted; use https, or unset it if the server needs no key`,
    );
  }
  return key;
}
