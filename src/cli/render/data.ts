/** `-o json` and `-o yaml`: the agent's answer as it is, safe for a terminal all the same. */

// What JSON leaves alone and a terminal does not: DEL, C1, separators, bidirectional overrides.
const INVISIBLE = /[\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;

// Where the locale is not UTF-8, bytes of any letter may be control characters (clean.ts).
const NOT_ASCII = /[\u007f-\uffff]/g;

/** @param unicode whether the terminal reads UTF-8; JSON says the same without */
export function toJson(value: unknown, unicode = true): string {
  return `${escapeSigns(JSON.stringify(value, null, 2), unicode)}\n`;
}

/** One line, for streams. */
export function toJsonLine(value: unknown, unicode = true): string {
  return `${escapeSigns(JSON.stringify(value), unicode)}\n`;
}

export async function toYaml(value: unknown, unicode = true): Promise<string> {
  return (await yamlWriter(unicode))(value);
}

/** For streams: each value as a document of its own. */
export async function yamlDocumentWriter(unicode = true): Promise<(value: unknown) => string> {
  const write = await yamlWriter(unicode);
  return (value) => `---\n${write(value)}`;
}

async function yamlWriter(unicode: boolean): Promise<(value: unknown) => string> {
  // 60 kB that only this needs.
  const { dump } = await import('js-yaml');
  return (value) => {
    const text = dump(value, { noRefs: true, lineWidth: -1 });
    // YAML has no escapes outside of quotes; JSON is YAML too, and has.
    return text.search(unicode ? INVISIBLE : NOT_ASCII) === -1 ? text : toJson(value, unicode);
  };
}

function escapeSigns(json: string, unicode: boolean): string {
  return json.replace(
    unicode ? INVISIBLE : NOT_ASCII,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
