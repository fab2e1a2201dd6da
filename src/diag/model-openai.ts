/**
 * Any endpoint that speaks OpenAI's `chat/completions`: vLLM, llama.cpp, Ollama, SGLang, gateways, OpenAI. The
 * request has only what all of them take: newer models refuse `max_tokens` and a temperature, older servers
 * `response_format`; the bounds are ours (http.ts) and the form of the answer is checked, not trusted (claims.ts).
 */
import { isRecord } from '../events/guards.js';
import { below } from './endpoint.js';
import { RemoteError, requestJson } from './http.js';
import { MAX_ANSWER_BYTES, type Model, type ModelSettings } from './model.js';

export function openAiModel({ url, model, key, timeoutMs }: ModelSettings): Model {
  return {
    name: `${model} at ${url.host}`,
    timeoutMs,
    ask: async ({ system, user }, signal) => {
      const answer = await requestJson({
        method: 'POST',
        url: below(url, '/chat/completions'),
        headers: key === undefined ? {} : { authorization: `Bearer ${key}` },
        body: {
          model,
          stream: false,
          messages: [
            { role: 'system', content: system },
            { role: 'user', content: user },
          ],
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
  const choices = isRecord(answer) && Array.isArray(answer.choices) ? answer.choices : [];
  const choice: unknown = choices[0];
  const message = isRecord(choice) && isRecord(choice.message) ? choice.message : undefined;
  const content = message?.content;
  if (typeof content === 'string' && content !== '') return content;
  // Some gateways pass content on in parts.
  if (Array.isArray(content)) {
    const text = content.map((part: unknown) => (isRecord(part) ? part.text : undefined));
    if (text.length > 0 && text.every((part): part is string => typeof part === 'string'))
      return text.join('');
  }
  if (typeof message?.refusal === 'string') throw new RemoteError('the model refused to answer');
  throw new RemoteError('its answer holds no text where chat/completions has it');
}
