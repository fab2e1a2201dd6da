/** `-o json` and `-o yaml`: the agent's answer as it is, safe for a terminal all the same. */

// What JSON leaves alone and a terminal does not: DEL, C1, separators, bidirectional overrides.
const INVISIBLE = /[\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;

export function toJson(value: unknown): string {
  return `${escapeInvisible(JSON.stringify(value, null, 2))}\n`;
}

/** One line, for streams. */
export function toJsonLine(value: unknown): string {
  return `${escapeInvisible(JSON.stringify(value))}\n`;
}

export async function toYaml(value: unknown): Promise<string> {
  return (await yamlWriter())(value);
}

/** For streams: each value as a document of its own. */
export async function yamlDocumentWriter(): Promise<(value: unknown) => string> {
  const write = await yamlWriter();
  return (value) => `---\n${write(value)}`;
}

async function yamlWriter(): Promise<(value: unknown) => string> {
  // 60 kB that only this needs.
  const { dump } = await import('js-yaml');
  return (value) => {
    const text = dump(value, { noRefs: true, lineWidth: -1 });
    // YAML has no escapes outside of quotes; JSON is YAML too, and has.
    return text.search(INVISIBLE) === -1 ? text : toJson(value);
  };
}

function escapeInvisible(json: string): string {
  return json.replace(INVISIBLE, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
