import { execFileSync } from 'node:child_process';
import { copyFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildSync } from 'esbuild';
import t from 'tap';
import { buildBpf } from '../../bench/producer/build.js';
import { Kernel } from '../../src/kernel/kernel.js';
import { createLog } from '../../src/util/log.js';
import { ROOT } from '../lib/root.js';

const log = createLog('error', () => {});
const bpfDir = buildBpf('test/kernel/bpf/ladder.bpf.c');
buildBpf('test/kernel/bpf/other-abi.bpf.c');
buildBpf('test/kernel/bpf/no-abi.bpf.c');

t.test('an object that cannot be used is one clear line; the others load', async (t) => {
  const dir = t.testdir({});
  copyFileSync(join(bpfDir, 'ladder.bpf.o'), join(dir, 'ladder.bpf.o'));
  copyFileSync(join(bpfDir, 'other-abi.bpf.o'), join(dir, 'other-abi.bpf.o'));
  copyFileSync(join(bpfDir, 'no-abi.bpf.o'), join(dir, 'no-abi.bpf.o'));
  writeFileSync(join(dir, 'garbage.bpf.o'), 'this is no ELF');
  writeFileSync(join(dir, 'empty.bpf.o'), '');
  const kernel = await Kernel.open({ log, bpfDir: dir });
  t.teardown(() => kernel.stop());
  const line = async (name: string): Promise<string> => {
    await t.rejects(kernel.load(name), { name: 'ObjectError' });
    const text = kernel.failures.get(name) ?? '';
    t.notMatch(text, /\n/);
    return text;
  };
  t.match(await line('missing'), /missing\.bpf\.o: no such file; build it with `make bpf`/);
  t.match(
    await line('other-abi'),
    /has event ABI 99, this agent has \d+; install objects and agent from one package/,
  );
  t.match(await line('no-abi'), /names no event ABI/);
  t.match(await line('garbage'), /garbage\.bpf\.o: not a BPF object/);
  t.match(await line('empty'), /empty\.bpf\.o: not a BPF object/);
  const object = await kernel.load('ladder');
  t.ok(object.programs.some((p) => p.attached));
  t.same([...kernel.failures.keys()], ['missing', 'other-abi', 'no-abi', 'garbage', 'empty']);
});

t.test('a kernel without BTF', async (t) => {
  const kernel = await Kernel.open({ log, bpfDir, btfPath: '/nonexistent/vmlinux' });
  t.teardown(() => kernel.stop());
  await t.rejects(kernel.load('ladder'), {
    name: 'ObjectError',
    message: /ladder: no kernel BTF at \/nonexistent\/vmlinux; needs a kernel with CONFIG_DEBUG_INFO_BTF/,
  });
});

t.test('BTF from a file, as nodes have it whose kernel carries none', async (t) => {
  const kernel = await Kernel.open({ log, bpfDir, btfPath: '/sys/kernel/btf/vmlinux' });
  t.teardown(() => kernel.stop());
  const object = await kernel.load('ladder');
  t.match(
    object.programs.find((p) => p.slot === 'best'),
    { attached: true, rung: 'tp_btf' },
  );
});

t.test('no libbpf', async (t) => {
  await t.rejects(Kernel.open({ log, bpfDir, libbpf: 'libbpf.so.404' }), {
    name: 'NativeError',
    message: 'dlopen libbpf.so.404: ENOENT; apt-get install libbpf1',
  });
});

t.test('an abort ends the load between two attempts', async (t) => {
  const abort = new AbortController();
  const kernel = await Kernel.open({ log, bpfDir, signal: abort.signal });
  t.teardown(() => kernel.stop());
  const load = kernel.load('ladder');
  abort.abort(new Error('SIGTERM'));
  await t.rejects(load, { message: 'SIGTERM' });
  await t.rejects(Kernel.open({ log, bpfDir, signal: abort.signal }), { message: 'SIGTERM' });
});

t.test('stop, twice, leaves nothing behind', async (t) => {
  const kernel = await Kernel.open({ log, bpfDir });
  const object = await kernel.load('ladder');
  const fd = object.programFd('best');
  kernel.stop();
  kernel.stop();
  t.equal(
    kernel.events.drain(() => {}),
    0,
  );
  t.same(new Set(Object.values(kernel.lost())), new Set([0]));
  t.type(fd, 'number');
});

t.test('too few rights', async (t) => {
  const child = join(ROOT, 'build/test/open-child.mjs');
  buildSync({
    entryPoints: [join(ROOT, 'test/kernel/open-child.ts')],
    outfile: child,
    bundle: true,
    platform: 'node',
    format: 'esm',
    external: ['ffi-napi', 'ref-napi'],
    logLevel: 'error',
  });
  const run = (...wrap: readonly string[]): string =>
    execFileSync('setpriv', [...wrap, process.execPath, child, bpfDir, 'ladder'], { encoding: 'utf8' });

  const noBpf = run('--bounding-set', '-bpf,-sys_admin,-perfmon');
  t.match(
    noBpf,
    /^NativeError: bpf_map_create xctl_events: EPERM; root here lacks a capability; needs CAP_BPF and CAP_PERFMON$/m,
  );

  // May read the checkout, wherever it lies, and nothing else.
  const user = run(
    '--reuid',
    '65534',
    '--clear-groups',
    '--inh-caps',
    '+dac_override',
    '--ambient-caps',
    '+dac_override',
  );
  t.match(
    user,
    /^NativeError: bpf_map_create xctl_events: EPERM; not root \(uid 65534\); needs CAP_BPF and CAP_PERFMON$/m,
  );

  // The maps can be made, tracing is refused: every slot is off and says so.
  const noPerfmon = JSON.parse(run('--bounding-set', '-sys_admin,-perfmon'));
  t.ok(noPerfmon.length > 0);
  for (const { attached, rung, reason } of noPerfmon) {
    t.same({ attached, rung }, { attached: false, rung: null });
    t.match(reason, /EPERM|no tracepoint|tracefs is not mounted/);
  }
});
