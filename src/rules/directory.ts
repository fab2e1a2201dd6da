/** The rules that come with the package. */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../util/version.js';
import { type Owners, trustedOwners } from './files.js';

/** Undefined: the program was moved out of its package. */
export function packageRules(): string | undefined {
  const root = packageRoot();
  if (root === undefined) return undefined;
  const directory = join(root, 'rules');
  return statSync(directory, { throwIfNoEntry: false })?.isDirectory() === true ? directory : undefined;
}

/**
 * Who may own the files in a directory. The package's own may belong to whoever owns the package: they could change the
 * program just as well.
 */
export function ownersOf(directory: string): Owners {
  const root = packageRoot();
  if (root === undefined || directory !== join(root, 'rules')) return trustedOwners();
  return trustedOwners(statSync(join(root, 'package.json'), { throwIfNoEntry: false })?.uid);
}
