/**
 * Debian's own kernels: fetched by apt in an apt root of its own (the system's stays as it is), unpacked,
 * never installed. The mirror is the one that the system's apt uses; the archive's keys are Debian's.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { output } from './command.js';

/** Kernel series → the suite that has it. */
export const SUITES: Readonly<Record<string, string>> = {
  '6.1': 'bookworm',
  '6.12': 'trixie',
  '5.10': 'bullseye',
};

export interface VmKernel {
  readonly series: string;
  /** As `uname -r` prints it. */
  readonly release: string;
  /** Version of Debian's package, `6.1.176-1`. */
  readonly version: string;
  readonly vmlinuz: string;
  /** `/lib/modules/<release>`, with modules.dep. */
  readonly modules: string;
}

const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';
const META_PACKAGE = 'linux-image-amd64';

/**
 * The kernel of a series, from `dir` when it was fetched before.
 * @throws Error that says why it cannot be had
 */
export async function fetchKernel(series: string, dir: string, signal: AbortSignal): Promise<VmKernel> {
  const suite = SUITES[series];
  if (suite === undefined)
    throw new Error(`no kernel ${series} is known, only ${Object.keys(SUITES).join(', ')}`);
  const done = join(dir, 'kernel');
  if (!existsSync(done)) {
    const fresh = join(dir, 'fresh');
    rmSync(fresh, { recursive: true, force: true });
    mkdirSync(fresh, { recursive: true });
    const { aptOptions, stop } = await aptRoot(suite, join(dir, 'apt'), signal);
    try {
      await download(aptOptions, fresh, signal);
    } finally {
      stop();
    }
    renameSync(fresh, done);
  }
  return describe(series, done);
}

interface AptRoot {
  readonly aptOptions: readonly string[];
  /** Removes what it took. */
  stop(): void;
}

/** Lists of one suite, from the first of the system's mirrors that has it and is signed by Debian. */
async function aptRoot(suite: string, root: string, signal: AbortSignal): Promise<AptRoot> {
  rmSync(root, { recursive: true, force: true });
  for (const dir of ['lists/partial', 'cache/archives/partial'])
    mkdirSync(join(root, dir), { recursive: true });
  const status = join(root, 'status');
  const sources = join(root, 'sources.list');
  writeFileSync(status, '');
  const settings = {
    'Dir::Etc::sourcelist': sources,
    'Dir::Etc::sourceparts': '-',
    'Dir::Etc::preferencesparts': '-',
    'Dir::State::lists': join(root, 'lists'),
    'Dir::State::status': status,
    'Dir::Cache': join(root, 'cache'),
    'Acquire::Languages': 'none',
    'Acquire::Retries': '3',
    'APT::Architecture': 'amd64',
    // The sandbox user need not be able to read the checkout.
    'APT::Sandbox::User': 'root',
    // Otherwise a list that could not be had is a warning and exit code 0.
    'APT::Update::Error-Mode': 'any',
  };
  const aptOptions = Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
  const failures: string[] = [];
  for (const mirror of await mirrors(signal)) {
    writeFileSync(sources, `deb [signed-by=${KEYRING}] ${mirror} ${suite} main\n`);
    try {
      await output('apt-get', [...aptOptions, 'update'], signal);
      return { aptOptions, stop: () => rmSync(root, { recursive: true, force: true }) };
    } catch (error) {
      signal.throwIfAborted();
      failures.push(error instanceof Error ? error.message : String(error));
    }
  }
  throw new Error(
    failures.length === 0
      ? 'the apt of this system has no mirror configured'
      : `no mirror of this system has suite ${suite}: ${failures.join('; ')}`,
  );
}

/** Base addresses in the system's own apt configuration, Debian's archive first. */
async function mirrors(signal: AbortSignal): Promise<string[]> {
  const format = ['indextargets', '--format', '$(REPO_URI)', 'Created-By: Packages'];
  const debian = await output('apt-get', [...format, 'Label: Debian'], signal);
  const all = await output('apt-get', format, signal);
  return [...new Set(`${debian}\n${all}`.split('\n').filter((line) => line !== ''))];
}

async function download(aptOptions: readonly string[], to: string, signal: AbortSignal): Promise<void> {
  const shown = await output('apt-cache', [...aptOptions, 'show', '--no-all-versions', META_PACKAGE], signal);
  const [, name, version] = /^Depends:.*?\b(linux-image-\S+) \(= (\S+)\)/m.exec(shown) ?? [];
  if (name === undefined || version === undefined)
    throw new Error(`${META_PACKAGE} names no kernel package:\n${shown}`);
  await output('apt-get', [...aptOptions, 'download', `${name}=${version}`], signal, to);
  const deb = readdirSync(to).find((file) => file.endsWith('.deb'));
  if (deb === undefined) throw new Error(`apt-get downloaded no ${name}`);
  await output('dpkg-deb', ['-x', join(to, deb), to], signal);
  rmSync(join(to, deb));
  // Merged /usr or not, depmod looks below lib/modules.
  if (existsSync(join(to, 'usr/lib/modules'))) renameSync(join(to, 'usr/lib'), join(to, 'lib'));
  const release = only(readdirSync(join(to, 'lib/modules')), 'lib/modules');
  await output('depmod', ['-b', to, release], signal);
  writeFileSync(join(to, 'version'), version);
}

function describe(series: string, root: string): VmKernel {
  const release = only(readdirSync(join(root, 'lib/modules')), 'lib/modules');
  return {
    series,
    release,
    version: readFileSync(join(root, 'version'), 'utf8'),
    vmlinuz: join(root, 'boot', `vmlinuz-${release}`),
    modules: join(root, 'lib/modules', release),
  };
}

function only(names: readonly string[], where: string): string {
  const [name, ...others] = names;
  if (name === undefined || others.length > 0)
    throw new Error(`expected one entry in ${where}, found ${names.length}`);
  return name;
}
