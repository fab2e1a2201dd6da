/** What nvidia-smi says, as rows of fields by name. Fields that its version does not know are left out. */
import { execFile } from 'node:child_process';

export type SmiRow = ReadonlyMap<string, string>;

/** Runs nvidia-smi. @throws Error with what it said, in one line */
export type Smi = (args: readonly string[]) => Promise<string>;

export const runSmi: Smi = (args) =>
  new Promise((resolve, reject) => {
    execFile('nvidia-smi', [...args], { timeout: 30_000 }, (error, stdout, stderr) => {
      if (error === null) return resolve(stdout);
      const said = `${stdout}\n${stderr}`.trim().split('\n')[0] ?? '';
      return reject(new Error(`nvidia-smi ${args[0]}: ${said === '' ? error.message : said}`));
    });
  });

/** `csv,noheader,nounits`: a comma and a space between fields, of which none has a comma. */
export function parseCsv(text: string, fields: readonly string[]): readonly SmiRow[] {
  return text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => {
      const values = line.split(',').map((value) => value.trim());
      if (values.length !== fields.length)
        throw new Error(`nvidia-smi gave ${values.length} fields for ${fields.length}: ${line}`);
      return new Map(fields.map((field, i) => [field, values[i] ?? '']));
    });
}

const UNKNOWN_FIELD = /Field "([^"]+)" is not a valid field to query/;

/**
 * @param what `gpu`, `compute-apps`, `remapped-rows`
 * @throws Error when it refuses for another reason than a field
 */
export async function query(
  smi: Smi,
  what: string,
  fields: readonly string[],
  more: readonly string[] = [],
): Promise<readonly SmiRow[]> {
  let known = fields;
  for (;;) {
    try {
      const text = await smi([
        `--query-${what}=${known.join(',')}`,
        '--format=csv,noheader,nounits',
        ...more,
      ]);
      return parseCsv(text, known);
    } catch (error) {
      const unknown = UNKNOWN_FIELD.exec(error instanceof Error ? error.message : '')?.[1];
      if (unknown === undefined || !known.includes(unknown) || known.length === 1) throw error;
      known = known.filter((field) => field !== unknown);
    }
  }
}

/** `[N/A]`, `[Not Supported]`, `N/A`, empty: it does not tell. */
export function told(row: SmiRow, field: string): string | undefined {
  const value = row.get(field);
  if (value === undefined || value === '' || value === 'N/A' || value.startsWith('[')) return undefined;
  return value;
}
