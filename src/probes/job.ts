/**
 * Which job a process belongs to. Known launchers are told by their command line; rank and size are
 * taken from the variables below and from no other, and only of processes that are of a job.
 */
import type { JobAttrs } from '../events/event.js';

/** By the name of the program (argv[0] or the script that an interpreter runs). */
const PROGRAMS: ReadonlySet<string> = new Set([
  'torchrun',
  'slurmstepd',
  'srun',
  'mpirun',
  'mpiexec',
  'orterun',
  'prterun',
  'hydra_pmi_proxy',
  'deepspeed',
  'accelerate',
]);

/** `python -m MODULE`. */
const MODULES: Readonly<Record<string, string>> = {
  'torch.distributed.run': 'torchrun',
  'torch.distributed.launch': 'torchrun',
  'deepspeed.launcher.runner': 'deepspeed',
  'deepspeed.launcher.launch': 'deepspeed',
  'accelerate.commands.launch': 'accelerate',
};

const INTERPRETER = /^(?:python|pypy)[\d.]*$/;

/** Options of Python that take the next word as their value. */
const WITH_VALUE: ReadonlySet<string> = new Set(['-W', '-X', '--check-hash-based-pycs']);

/** Where each number comes from; the first that is set wins. */
const RANK = ['RANK', 'OMPI_COMM_WORLD_RANK', 'PMIX_RANK', 'PMI_RANK', 'SLURM_PROCID'];
const LOCAL_RANK = ['LOCAL_RANK', 'OMPI_COMM_WORLD_LOCAL_RANK', 'SLURM_LOCALID'];
const WORLD_SIZE = ['WORLD_SIZE', 'OMPI_COMM_WORLD_SIZE', 'PMI_SIZE', 'SLURM_NTASKS'];
const ID = ['SLURM_JOB_ID', 'TORCHELASTIC_RUN_ID'];

const TAKEN: ReadonlySet<string> = new Set([...RANK, ...LOCAL_RANK, ...WORLD_SIZE, ...ID]);
const LONGEST_NAME = Math.max(...[...TAKEN].map((name) => name.length));
/** An id beyond this is not one. */
const LONGEST_VALUE = 256;

/**
 * @param argv command line, possibly cut. @param comm the kernel's name of the process.
 * @returns the launcher that this process is, `torchrun`, `srun`, …
 */
export function launcherOf(comm: string, argv: readonly string[]): string | undefined {
  if (PROGRAMS.has(comm)) return comm;
  const [program = ''] = argv;
  const name = baseName(program);
  // slurmstepd renames itself: `slurmstepd: [1234.0]`.
  const bare = name.split(':', 1)[0] ?? '';
  if (PROGRAMS.has(bare)) return bare;
  return INTERPRETER.test(name) ? pythonLauncher(argv) : undefined;
}

function pythonLauncher(argv: readonly string[]): string | undefined {
  for (let i = 1; i < argv.length; i++) {
    const word = argv[i] ?? '';
    if (word === '-m') return MODULES[argv[i + 1] ?? ''];
    if (word.startsWith('-m')) return MODULES[word.slice(2)];
    if (WITH_VALUE.has(word)) i++;
    else if (!word.startsWith('-')) return PROGRAMS.has(baseName(word)) ? baseName(word) : undefined;
  }
  return undefined;
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

/**
 * @param environ content of /proc/PID/environ. It is searched in place and overwritten with zeros:
 * nothing but the variables named above becomes a string.
 */
export function jobVariables(environ: Buffer): ReadonlyMap<string, string> {
  const taken = new Map<string, string>();
  let start = 0;
  while (start < environ.length) {
    const nul = environ.indexOf(0, start);
    const end = nul === -1 ? environ.length : nul;
    const equals = environ.subarray(start, Math.min(end, start + LONGEST_NAME + 1)).indexOf(0x3d);
    if (equals > 0) {
      const name = environ.toString('latin1', start, start + equals);
      const length = end - start - equals - 1;
      if (TAKEN.has(name) && length <= LONGEST_VALUE) {
        taken.set(name, environ.toString('utf8', start + equals + 1, end));
      }
    }
    start = end + 1;
  }
  environ.fill(0);
  return taken;
}

/** @param launcher of the nearest ancestor that is one. */
export function jobOf(
  because: JobAttrs['because'],
  launcher: string | undefined,
  variables: ReadonlyMap<string, string>,
): JobAttrs {
  const id = ID.map((name) => variables.get(name)).find((value) => value !== undefined && value !== '');
  const rank = firstCount(variables, RANK);
  const localRank = firstCount(variables, LOCAL_RANK);
  const worldSize = firstCount(variables, WORLD_SIZE);
  return {
    because,
    ...(launcher !== undefined && { launcher }),
    ...(id !== undefined && { id }),
    ...(rank !== undefined && { rank }),
    ...(localRank !== undefined && { localRank }),
    ...(worldSize !== undefined && { worldSize }),
  };
}

function firstCount(variables: ReadonlyMap<string, string>, names: readonly string[]): number | undefined {
  for (const name of names) {
    const value = variables.get(name);
    if (value !== undefined && /^\d{1,9}$/.test(value)) return Number(value);
  }
  return undefined;
}
