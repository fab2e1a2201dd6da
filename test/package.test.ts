/** The npm package as a node without clang gets it: packed, unpacked, run. Needs `make build` first. */
import { execFile } from 'node:child_process';
import { lstatSync, mkdirSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { ROOT } from './lib/root.js';

const run = promisify(execFile);

t.test('the package holds what runs, and runs', async (t) => {
  const dir = t.testdir();
  const packed = await run(
    'npm',
    ['pack', '--ignore-scripts', '--loglevel=error', '--pack-destination', dir],
    {
      cwd: ROOT,
    },
  );
  const archive = packed.stdout.trim().split('\n').at(-1) ?? '';
  const unpacked = join(dir, 'unpacked');
  mkdirSync(unpacked);
  await run('tar', ['-xzf', join(dir, archive), '-C', unpacked]);
  const root = join(unpacked, 'package');

  t.test('contents', async (t) => {
    const { stdout } = await run('find', ['.', '-type', 'f'], { cwd: root });
    const files = stdout.trim().split('\n').sort();
    for (const needed of [
      'bin/xctl',
      'bin/xctl-agent',
      'dist/cli.cjs',
      'dist/agent.js',
      'LICENSE',
      'LICENSE.bpf',
      'rules/schema.json',
    ]) {
      t.ok(files.includes(`./${needed}`), needed);
    }
    const programs = readdirSync(join(ROOT, 'bpf')).filter((file) => file.endsWith('.bpf.c'));
    t.ok(programs.length > 0);
    for (const program of programs) {
      const object = `dist/bpf/${program.replace(/\.c$/, '.o')}`;
      t.ok(files.includes(`./${object}`), object);
      t.ok(readFileSync(join(root, object)).includes('Dual BSD/GPL\0'), `${object} says its license`);
    }
    const foreign = files.filter((file) =>
      /^\.\/(test|bench|src|build|node_modules|rules\/tests)\//.test(file),
    );
    t.same(foreign, [], 'nothing that only a checkout needs');
  });

  t.test('bin/xctl and bin/xctl-agent run from it', async (t) => {
    symlinkSync(join(ROOT, 'node_modules'), join(root, 'node_modules'));
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
    for (const bin of ['xctl', 'xctl-agent']) {
      t.ok(lstatSync(join(root, 'bin', bin)).mode & 0o111, `${bin} is executable`);
    }
    const nowhere = join(dir, 'no-agent.sock');
    const cli = await run(join(root, 'bin', 'xctl'), ['version', '--socket', nowhere]);
    t.match(cli.stdout, version);
    const agent = await run(join(root, 'bin', 'xctl-agent'), ['--version']);
    t.match(agent.stdout, version);
    const list = await run(join(root, 'bin', 'xctl'), ['rules', 'lint']);
    t.match(list.stdout, /\d+ rules/, 'its rules came along');
    await t.rejects(
      run(join(root, 'bin', 'xctl'), ['rules', 'test']),
      { code: 2, stderr: /no recordings .*a checkout has them/ },
      'their recordings did not, and that is said',
    );
  });
});
