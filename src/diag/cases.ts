/**
 * The case library: a directory with one YAML file a case, written by `xctl cases add`, edited by hand, kept in
 * git by whoever likes to. Read whole at each question: a few hundred small files.
 */
import { open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { readRuleFile, RefusedFileError, requireTrusted, trustedOwners } from '../rules/files.js';
import { errnoOf, messageOf, RefusedError, UsageError } from '../util/errors.js';
import { printable } from '../util/text.js';
import { type Case, CaseError, parseCase } from './case.js';

export interface StoredCase {
  readonly case: Case;
  /** The file's path. */
  readonly source: string;
}

export interface RefusedCase {
  readonly file: string;
  readonly reason: string;
}

export interface CaseLibrary {
  readonly cases: readonly StoredCase[];
  readonly refused: readonly RefusedCase[];
}

const MAX_FILES = 5_000;
const SUFFIX = '.yaml';
/** Nothing that we write is nested deeper, and nothing that we write has an alias. */
const YAML_LIMITS = { maxDepth: 8, maxAliases: 0 } as const;

/** Bad files are left out and told of. @throws UsageError the directory cannot be read. RefusedError others may write to it. */
export async function readLibrary(directory: string): Promise<CaseLibrary> {
  const names = await listFiles(directory);
  const cases: StoredCase[] = [];
  const refused: RefusedCase[] = [];
  for (const name of names.slice(0, MAX_FILES)) {
    const path = join(directory, name);
    try {
      cases.push({ case: await readCase(directory, name), source: path });
    } catch (error) {
      refused.push({ file: printable(path), reason: printable(messageOf(error), 300) });
    }
  }
  if (names.length > MAX_FILES) {
    refused.push({
      file: printable(directory),
      reason: `${names.length - MAX_FILES} files beyond the first ${MAX_FILES}`,
    });
  }
  return { cases, refused };
}

/** Undefined when the library holds no case of that name. @throws UsageError its file is no case */
export async function findCase(directory: string, name: string): Promise<StoredCase | undefined> {
  const file = `${name}${SUFFIX}`;
  const path = join(directory, file);
  try {
    return { case: await readCase(directory, file), source: path };
  } catch (error) {
    if (error instanceof Error && errnoOf(error.cause) === 'ENOENT') return undefined;
    if (!(error instanceof CaseError || error instanceof RefusedFileError)) throw error;
    throw new UsageError(`${printable(path)}: ${error.message}`, { cause: error });
  }
}

/** @returns the file's path. @throws UsageError there is one of that name, or the directory cannot be written to */
export async function addCase(directory: string, made: Case): Promise<string> {
  const path = join(directory, `${made.name}${SUFFIX}`);
  const { dump } = await import('js-yaml');
  try {
    // Exclusive: a case that somebody has edited since is not written over.
    const file = await open(path, 'wx', 0o644);
    try {
      await file.writeFile(dump(made, { lineWidth: 100, noRefs: true }));
    } finally {
      await file.close();
    }
    return path;
  } catch (error) {
    const why = errnoOf(error) ?? messageOf(error);
    if (why === 'EEXIST') {
      throw new UsageError(`${printable(path)} is there already; take another name, or edit that file`, {
        cause: error,
      });
    }
    throw new UsageError(`cannot write ${printable(path)} (${why})`, { cause: error });
  }
}

async function listFiles(directory: string): Promise<readonly string[]> {
  try {
    const its = await stat(directory);
    if (!its.isDirectory())
      throw new UsageError(`${printable(directory)} is no directory; name one with --knowledge DIR`);
    requireTrusted(its, trustedOwners());
    return (await readdir(directory)).filter((name) => name.endsWith(SUFFIX)).sort();
  } catch (error) {
    if (error instanceof UsageError) throw error;
    if (error instanceof RefusedFileError)
      throw new RefusedError(`${printable(directory)} ${error.message}`, { cause: error });
    const why = errnoOf(error) ?? messageOf(error);
    throw new UsageError(
      `cannot read ${printable(directory)} (${why}); name a directory with --knowledge DIR`,
      {
        cause: error,
      },
    );
  }
}

async function readCase(directory: string, name: string): Promise<Case> {
  // As careful as with rules: no device, no fifo, nothing too large, nothing that others may write to.
  const parsed = parseCase(await parseYaml(await readRuleFile(directory, name, trustedOwners())));
  if (name === `${parsed.name}${SUFFIX}`) return parsed;
  throw new CaseError(`is called otherwise than the case in it, ${parsed.name}`);
}

async function parseYaml(text: string): Promise<unknown> {
  const { load } = await import('js-yaml');
  try {
    return load(text, YAML_LIMITS);
  } catch (error) {
    const [first = ''] = messageOf(error).split('\n');
    throw new CaseError(`is no YAML: ${first}`, { cause: error });
  }
}
