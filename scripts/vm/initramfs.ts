/** The guest's initramfs: a static busybox, init, and the modules that reach the host's root. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  closeSync,
  copyFileSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { ROOT } from '../../test/lib/root.js';
import { output } from './command.js';
import type { VmKernel } from './kernels.js';

const BUSYBOX = '/bin/busybox';
/** What init mounts with; what they depend on comes along. Built into the kernel is fine, too. */
const MODULES = ['virtio_pci', '9pnet_virtio', '9p', 'overlay'];

/**
 * @param scripts directory of `init` and `init-root`
 * @returns its path below `dir`
 */
export async function makeInitramfs(
  kernel: VmKernel,
  scripts: string,
  dir: string,
  signal: AbortSignal,
): Promise<string> {
  const tree = join(dir, 'initramfs');
  rmSync(tree, { recursive: true, force: true });
  mkdirSync(join(tree, 'bin'), { recursive: true });
  mkdirSync(join(tree, 'modules'));
  copyFileSync(BUSYBOX, join(tree, 'bin/busybox'));
  for (const name of ['init', 'init-root']) {
    copyFileSync(join(scripts, name), join(tree, name));
    chmodSync(join(tree, name), 0o755);
  }
  const order: string[] = [];
  for (const path of moduleFiles(kernel.modules)) {
    const name = basename(path).replace(/\.xz$/, '');
    const to = join(tree, 'modules', name);
    copyFileSync(path, path.endsWith('.xz') ? `${to}.xz` : to);
    if (path.endsWith('.xz')) await output('xz', ['-d', `${to}.xz`], signal);
    order.push(name);
  }
  writeFileSync(join(tree, 'modules/order'), order.map((name) => `${name}\n`).join(''));
  writeFileSync(join(tree, 'modules/at'), `${kernel.modules}\n`);
  writeFileSync(join(tree, 'modules/checkout'), `${ROOT}\n`);
  const image = join(dir, 'initramfs.cpio');
  await pack(tree, order, image);
  return image;
}

/** Paths of MODULES and all they need, needed ones first. @throws Error when the kernel lacks one */
function moduleFiles(modules: string): string[] {
  const deps = new Map<string, { path: string; needs: string[] }>();
  const nameOf = (path: string): string =>
    basename(path)
      .replace(/\.ko(\.xz)?$/, '')
      .replaceAll('-', '_');
  for (const line of readFileSync(join(modules, 'modules.dep'), 'utf8').split('\n')) {
    const [path, needs] = line.split(':');
    if (path === undefined || needs === undefined) continue;
    deps.set(nameOf(path), { path, needs: needs.split(' ').filter((need) => need !== '') });
  }
  const builtin = new Set(readFileSync(join(modules, 'modules.builtin'), 'utf8').split('\n').map(nameOf));
  const found = new Set<string>();
  const add = (name: string): void => {
    const module = deps.get(name);
    if (module === undefined) {
      if (builtin.has(name)) return;
      throw new Error(`${modules} has no module ${name}`);
    }
    for (const need of module.needs) add(nameOf(need));
    found.add(join(modules, module.path));
  };
  for (const name of MODULES) add(name);
  return [...found];
}

async function pack(tree: string, modules: readonly string[], image: string): Promise<void> {
  const files = [
    'bin',
    'bin/busybox',
    'init',
    'init-root',
    'modules',
    'modules/order',
    'modules/at',
    'modules/checkout',
  ];
  const names = [...files, ...modules.map((name) => join(relative(tree, join(tree, 'modules')), name))];
  mkdirSync(dirname(image), { recursive: true });
  const to = openSync(image, 'w');
  try {
    const cpio = spawn(BUSYBOX, ['cpio', '-o', '-H', 'newc'], { cwd: tree, stdio: ['pipe', to, 'ignore'] });
    cpio.stdin?.end(names.map((name) => `${name}\n`).join(''));
    const [code] = await once(cpio, 'close');
    if (code !== 0) throw new Error(`busybox cpio ended with ${code}`);
  } finally {
    closeSync(to);
  }
}
