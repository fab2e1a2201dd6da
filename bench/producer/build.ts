/** BPF and C programs of the benches and tests, built into build/ when their source is newer. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, renameSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { ROOT } from '../../test/lib/root.js';

const ARCH = process.arch === 'arm64' ? 'arm64' : 'x86';

function mtimeMs(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

/** Runs `make` with the path to write to; renames at the end, since several tests may build at once. */
function build(to: string, sources: readonly string[], make: (to: string) => void): string {
  if (mtimeMs(to) > Math.max(...sources.map(mtimeMs))) return to;
  mkdirSync(dirname(to), { recursive: true });
  const mine = `${to}.${process.pid}`;
  make(mine);
  renameSync(mine, to);
  return to;
}

/**
 * Builds a `.bpf.c` as the Makefile builds those of bpf/.
 * @param source below the repository, `test/kernel/bpf/ladder.bpf.c`.
 * @returns directory of the object: a `bpfDir` for `Kernel.open`.
 */
export function buildBpf(source: string): string {
  const headers = [join(ROOT, 'bpf'), join(ROOT, 'bpf/lib')].flatMap(headersIn);
  const to = join(ROOT, 'build/test/bpf', basename(source).replace(/\.c$/, '.o'));
  const flags = ['-g', '-O2', '-Wall', '-Wextra', '-Wno-unused-parameter', '-Werror', '-target', 'bpf'];
  const more = ['-mcpu=v3', `-D__TARGET_ARCH_${ARCH}`, '-I.', '-Ibpf', '-c', source, '-o'];
  build(to, [join(ROOT, source), ...headers], (out) => {
    execFileSync(process.env.CLANG ?? 'clang', [...flags, ...more, out], { cwd: ROOT });
  });
  return dirname(to);
}

/** Builds a C program. @param linked more for the linker: `-lbpf`, `-static`. @returns its path. */
export function buildC(source: string, linked: readonly string[] = []): string {
  const to = join(ROOT, 'build/bench', basename(source).replace(/\.c$/, ''));
  const flags = ['-O2', '-Wall', '-Wextra', '-Werror'];
  const headers = headersIn(dirname(join(ROOT, source)));
  return build(to, [join(ROOT, source), ...headers], (out) => {
    execFileSync('gcc', [...flags, '-o', out, source, ...linked], { cwd: ROOT });
  });
}

function headersIn(dir: string): readonly string[] {
  return readdirSync(dir)
    .filter((name) => name.endsWith('.h'))
    .map((name) => join(dir, name));
}
