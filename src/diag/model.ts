/** Which language model is asked, if any. Off unless an endpoint is named. */
import { UsageError } from '../util/errors.js';
import { checkUrl, type Environment, keyFor } from './endpoint.js';

export const MODEL_APIS = ['openai', 'anthropic'] as const;
export type ModelApi = (typeof MODEL_APIS)[number];

export interface Prompt {
  readonly system: string;
  readonly user: string;
}

/** Something that answers a prompt with text. */
export interface Model {
  /** `gpt-x at api.example.com`: for people. */
  readonly name: string;
  readonly timeoutMs: number;
  /** @throws RemoteError */
  ask(prompt: Prompt, signal: AbortSignal): Promise<string>;
}

export interface ModelSettings {
  readonly url: URL;
  readonly api: ModelApi;
  readonly model: string;
  readonly key: string | undefined;
  readonly timeoutMs: number;
}

export interface ModelWords {
  readonly url: string | undefined;
  readonly model: string | undefined;
  readonly api: ModelApi | undefined;
  readonly timeoutMs: number;
}

const ANTHROPIC_HOST = 'api.anthropic.com';
const OPENAI_HOST = 'api.openai.com';

/** An explanation is a few hundred words; whoever sends more is not answering. */
export const MAX_ANSWER_BYTES = 256 << 10;

/** Flags win over `XCTL_MODEL_URL` and `XCTL_MODEL`. Undefined: none is configured. @throws UsageError */
export function modelSettings(words: ModelWords, env: Environment): ModelSettings | undefined {
  const text = words.url ?? (env.XCTL_MODEL_URL || undefined);
  const model = words.model ?? (env.XCTL_MODEL || undefined);
  if (text === undefined) {
    if (words.model === undefined) return undefined;
    throw new UsageError(
      '--model needs --model-url (or XCTL_MODEL_URL), e.g. --model-url http://127.0.0.1:8000/v1',
    );
  }
  const url = checkUrl(text, '--model-url', 'http://127.0.0.1:8000/v1');
  if (model === undefined) {
    throw new UsageError(
      '--model-url needs --model NAME (or XCTL_MODEL), the name that the endpoint knows it by',
    );
  }
  const api = words.api ?? (url.hostname === ANTHROPIC_HOST ? 'anthropic' : 'openai');
  // A key that was made for one vendor goes to that vendor's host only.
  const names = [
    'XCTL_MODEL_KEY',
    ...(url.hostname === ANTHROPIC_HOST ? ['ANTHROPIC_API_KEY'] : []),
    ...(url.hostname === OPENAI_HOST ? ['OPENAI_API_KEY'] : []),
  ];
  return { url, api, model, key: keyFor(url, env, names), timeoutMs: words.timeoutMs };
}

/** Loads only the adapter that is asked for. */
export async function openModel(settings: ModelSettings): Promise<Model> {
  switch (settings.api) {
    case 'openai':
      return (await import('./model-openai.js')).openAiModel(settings);
    case 'anthropic':
      return (await import('./model-anthropic.js')).anthropicModel(settings);
  }
}
