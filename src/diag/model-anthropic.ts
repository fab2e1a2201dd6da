/** Anthropic's Messages API: `POST /v1/messages`, the version header, text blocks in the answer. */
import { isRecord } from '../events/guards.js';
import { below } from './endpoint.js';
import { RemoteError, requestJson } from './http.js';
import { MAX_ANSWER_BYTES, type Model, type ModelSettings } from './model.js';

const VERSION = '2023-06-01';
/** Required by the API; several times what an answer of the asked form takes. */
const MAX_TOKENS = 4_096;

export function anthropicModel({ url, model, key, timeoutMs }: ModelSettings): Model {
  // With or without the version: both are what people copy from documentation.
  const path = /\/v\d+\/*$/.test(url.pathname) ? '/messages' : '/v1/messages';
  return {
    name: `${model} at ${url.host}`,
    timeoutMs,
    ask: async ({ system, user }, signal) => {
      const answer = await requestJson({
        method: 'POST',
        url: below(url, path),
        headers: { 'anthropic-version': VERSION, ...(key !== undefined && { 'x-api-key': key }) },
        body: {
          model,
          max_tokens: MAX_TOKENS,
          stream: false,
          system,
          messages: [{ role: 'user', content: user }],
        },
        timeoutMs,
        maxBytes: MAX_ANSWER_BYTES,
        signal,
      });
      return textOf(answer);
    },
  };
}

function textOf(answer: unknown): string {
  if (!isRecord(answer) || !Array.isArray(answer.content)) {
    throw new RemoteError('its answer is none of the Messages API: it has no content');
  }
  if (answer.stop_reason === 'refusal') throw new RemoteError('the model refused to answer');
  if (answer.stop_reason === 'max_tokens') throw new RemoteError(`its answer is over ${MAX_TOKENS} tokens`);
  // Blocks of other types (thinking, for one) are not the answer.
  const text = answer.content
    .map((block: unknown) => (isRecord(block) && block.type === 'text' ? block.text : ''))
    .filter((part): part is string => typeof part === 'string')
    .join('');
  if (text === '') throw new RemoteError('its answer holds no text');
  return text;
}
