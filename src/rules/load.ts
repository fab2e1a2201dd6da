/** A directory of rule files becomes a RuleSet; what is wrong with one file is no trouble of the others. */
import { setImmediate } from 'node:timers/promises';
import { printable } from '../util/text.js';
import { ownersOf } from './directory.js';
import { listRuleFiles, MAX_TOTAL_BYTES, type Owners, readRuleFile, RefusedFileError } from './files.js';
import { linkFiles } from './link.js';
import type { RefusedFile } from './model.js';
import { type ParsedFile, parseRuleFile } from './parse.js';
import { RuleSet } from './rule-set.js';

export interface NamedText {
  readonly file: string;
  readonly text: string;
}

/**
 * Reads every rule file in `directory`, one after the other, and lets other work pass between two.
 * @throws RefusedFileError the directory itself is not there or not to be trusted
 */
export async function loadRules(directory: string, owners: Owners = ownersOf(directory)): Promise<RuleSet> {
  const names = await listRuleFiles(directory, owners);
  const parsed: ParsedFile[] = [];
  const refused: RefusedFile[] = [];
  let totalBytes = 0;
  for (const name of names) {
    try {
      const text = await readRuleFile(directory, name, owners);
      totalBytes += Buffer.byteLength(text);
      if (totalBytes > MAX_TOTAL_BYTES)
        throw new RefusedFileError(
          `is one too many: all rules together are over ${MAX_TOTAL_BYTES / 1024 / 1024} MiB`,
        );
      parsed.push(parseRuleFile(name, text));
    } catch (error) {
      if (!(error instanceof RefusedFileError)) throw error;
      refused.push({ file: name, errors: [`${printable(name, 200)}: ${error.message}`] });
    }
    await setImmediate();
  }
  return join(parsed, refused, directory);
}

/** The same of texts that are there already. */
export function rulesOfTexts(texts: readonly NamedText[]): RuleSet {
  return join(
    texts.map(({ file, text }) => parseRuleFile(file, text)),
    [],
    null,
  );
}

/** No rules at all. */
export function noRules(directory: string | null, refused: readonly RefusedFile[] = []): RuleSet {
  return join([], refused, directory);
}

function join(
  parsed: readonly ParsedFile[],
  unread: readonly RefusedFile[],
  directory: string | null,
): RuleSet {
  const bad = parsed.filter(({ errors }) => errors.length > 0);
  const linked = linkFiles(parsed.filter(({ errors }) => errors.length === 0));
  const refused = [...unread, ...bad.map(({ file, errors }) => ({ file, errors })), ...linked.refused];
  return new RuleSet(
    linked.files.flatMap(({ rules }) => rules),
    {
      directory,
      loadedAt: new Date().toISOString(),
      files: linked.files.map(({ file }) => file),
      refused: refused.sort((a, b) => (a.file < b.file ? -1 : 1)),
    },
  );
}
