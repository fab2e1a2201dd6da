import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readlinkSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { Devices } from '../../src/probes/devices.js';
import { hostOf, serverOf } from '../../src/probes/filesystem-kinds.js';
import { optionOf, parseMountinfo, parseMountLine, unescapeOctal } from '../../src/probes/mountinfo.js';
import { Mounts } from '../../src/probes/mounts.js';
import { start } from '../lib/proc.js';
import { until } from '../lib/until.js';
import { mounted } from './lib/mount.js';
import { fc } from '../lib/property.js';

const run = promisify(execFile);
const NFS =
  '90 27 0:45 / /data\\040set rw,relatime shared:5 - nfs4 10.0.0.2:/ rw,vers=4.2,proto=tcp,clientaddr=10.0.0.1,addr=10.0.0.2';

t.test('a line of mountinfo', async (t) => {
  t.same(
    parseMountLine(
      '36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 propagate_from:2 - ext3 /dev/root rw,errors=continue',
    ),
    {
      id: 36,
      parent: 35,
      dev: 98 * 0x10_0000,
      root: '/mnt1',
      mountPoint: '/mnt2',
      options: 'rw,noatime',
      fsType: 'ext3',
      source: '/dev/root',
      superOptions: 'rw,errors=continue',
    },
  );
  t.equal(parseMountLine(NFS)?.mountPoint, '/data set');
  t.equal(parseMountLine('1 2 0:4 / /x rw -  none')?.fsType, '');
  t.equal(parseMountLine('1 2 0:4 / /x rw - tmpfs  rw')?.source, '', 'a source may be empty');
  for (const bad of ['', 'a', '1 2 x / /y rw - t s o', '1 2 0:4 / /x rw shared:1 tmpfs t rw'])
    t.equal(parseMountLine(bad), undefined, bad);
  t.equal(unescapeOctal('a\\040b\\011c\\012d\\134e\\9'), 'a b\tc\nd\\e\\9');
  t.equal(optionOf('rw,upperdir=/a\\054b,workdir=/w', 'upperdir'), '/a,b');
});

t.test('mountinfo, by property: what the kernel escapes comes back, and nothing throws', async (t) => {
  const escaped = (text: string): string =>
    text.replace(/[ \t\n\\]/g, (c) => `\\${c.charCodeAt(0).toString(8).padStart(3, '0')}`);
  const name = fc.string({ minLength: 1, maxLength: 40 }).filter((text) => !/[\0\u0080-\uffff]/.test(text));
  const optional = fc.array(fc.constantFrom('shared:3', 'master:4', 'unbindable'), { maxLength: 3 });
  fc.assert(
    fc.property(name, name, optional, fc.nat(4095), fc.nat(0xfffff), (path, source, extra, major, minor) => {
      const words = [
        '7',
        '6',
        `${major}:${minor}`,
        '/',
        `/${escaped(path)}`,
        'rw',
        ...extra,
        '-',
        'tmpfs',
        escaped(source),
        'rw',
      ];
      const [line] = parseMountinfo(`${words.join(' ')}\n`);
      return (
        line?.mountPoint === `/${path}` &&
        line.source === source &&
        line.dev >>> 20 === major &&
        (line.dev & 0xfffff) === minor
      );
    }),
  );
  fc.assert(fc.property(fc.string({ maxLength: 300 }), (text) => parseMountinfo(text).length <= text.length));
  t.pass('held');
});

t.test('the server of a network filesystem', async (t) => {
  const line = parseMountLine(NFS);
  t.equal(line === undefined ? '' : serverOf(line), '10.0.0.2');
  const cases: readonly (readonly [string, string | undefined])[] = [
    ['nas:/export', 'nas'],
    ['[fd00::1]:/export', 'fd00::1'],
    ['fd00::1:/export', 'fd00::1'],
    ['//files/share', 'files'],
    ['10.0.0.1@tcp:/fs', '10.0.0.1'],
    ['me@host:/home', 'host'],
    ['10.0.0.1:6789,10.0.0.2:6789:/', '10.0.0.1'],
    ['/dev/sda', undefined],
    ['none', undefined],
    [':/', undefined],
  ];
  for (const [source, host] of cases) t.equal(hostOf(source), host, source);
});

/** A /proc and a /sys as files. */
function world(
  dir: string,
  processes: Readonly<Record<string, { readonly ns: number; readonly mounts: readonly string[] }>>,
): Mounts {
  mkdirSync(join(dir, 'sys/dev/block'), { recursive: true });
  symlinkSync('../../devices/pci/block/sda/sda1', join(dir, 'sys/dev/block/8:1'));
  for (const [pid, { ns, mounts }] of Object.entries(processes)) {
    mkdirSync(join(dir, 'proc', pid, 'ns'), { recursive: true });
    symlinkSync(`mnt:[${ns}]`, join(dir, 'proc', pid, 'ns/mnt'));
    writeFileSync(join(dir, 'proc', pid, 'mountinfo'), mounts.map((line) => `${line}\n`).join(''));
  }
  return new Mounts(join(dir, 'proc'), join(dir, 'sys'));
}

const ROOT = '1 0 8:1 / / rw - ext4 /dev/sda1 rw';

t.test('one entry a filesystem, by the name it has on the node', async (t) => {
  const container = [
    '50 49 0:60 / / rw - overlay overlay rw,lowerdir=/l,upperdir=/var/lib/c/upper,workdir=/w',
    '51 50 0:45 / /mnt/data rw - nfs4 10.0.0.2:/ rw,addr=10.0.0.2',
    '52 50 0:61 / /cache rw - tmpfs tmpfs rw',
    '53 50 8:1 /etc/hosts /etc/hosts rw - ext4 /dev/sda1 rw',
  ];
  const mounts = world(t.testdir(), {
    self: { ns: 100, mounts: [ROOT, NFS] },
    1: { ns: 100, mounts: [ROOT, NFS] },
    77: { ns: 200, mounts: container },
  });
  const { found } = mounts.refresh(true);
  const byId = new Map(found.map((fs) => [fs.id, fs]));
  t.same([...byId.keys()].sort(), ['fs:/', 'fs:/@mnt:200', 'fs:/cache@mnt:200', 'fs:/data set']);
  t.same(byId.get('fs:/')?.under, ['block:sda1']);
  t.match(byId.get('fs:/data set'), { server: '10.0.0.2', remote: true, mountNs: undefined });
  t.match(byId.get('fs:/@mnt:200'), { under: ['fs:/'], mountNs: 200, remote: false });
  t.same(mounts.refresh(true), { found: [], gone: [], readOnly: [] }, 'nothing new');
  const devices = new Devices(mounts);
  t.equal(devices.nodeOf(8 * 0x10_0000 + 1), 'block:sda1');
  t.equal(devices.nodeOf(45), 'fs:/data set');
  t.equal(devices.nodeOf(61), 'fs:/cache@mnt:200');
  t.equal(devices.nodeOf(999), 'dev:0:999');
});

t.test('read-only, covered, gone, and numbers that are given again', async (t) => {
  const mounts = world(t.testdir(), { self: { ns: 100, mounts: [ROOT] }, 1: { ns: 100, mounts: [ROOT] } });
  mounts.refresh(false);
  const set = (lines: readonly string[]): ReturnType<Mounts['refresh']> => {
    for (const pid of ['self', '1'])
      writeFileSync(join(mounts.procDir, pid, 'mountinfo'), lines.map((line) => `${line}\n`).join(''));
    return mounts.refresh(false);
  };
  const ids = (list: readonly { readonly id: string }[]): string[] => list.map(({ id }) => id);
  const two = set([ROOT, '2 1 0:50 / /a rw - tmpfs one rw', '3 2 0:51 / /a rw - tmpfs two rw']);
  t.same(ids(two.found).sort(), ['fs:/a', 'fs:/a@dev:0:50'], 'the one on top has the name');
  const readOnly = set([ROOT.replace(/rw$/, 'ro,errors=remount-ro'), '2 1 0:50 / /a rw - tmpfs one rw']);
  t.same(ids(readOnly.readOnly), ['fs:/']);
  t.same(ids(readOnly.gone).sort(), ['fs:/a', 'fs:/a@dev:0:50']);
  t.same(ids(readOnly.found).sort(), ['fs:/', 'fs:/a'], 'the one that was covered is in sight');
  t.same(ids(set([ROOT.replace(/rw$/, 'rw,emergency_ro'), '2 1 0:50 / /a rw - tmpfs one rw']).readOnly), []);
  const again = set([ROOT, '9 1 0:50 / /b rw - nfs other:/ rw']);
  t.same([ids(again.gone), ids(again.found).sort()], [['fs:/a'], ['fs:/', 'fs:/b']]);
  t.equal(new Devices(mounts).nodeOf(50), 'fs:/b');
});

t.test('a container that ends has not made its volume read-only', async (t) => {
  const volume = '60 1 8:1 / / rw - ext4 /dev/sda1 rw';
  const mounts = world(t.testdir(), {
    self: { ns: 100, mounts: ['1 0 8:1 / / ro - ext4 /dev/sda1 rw'] },
    1: { ns: 100, mounts: ['1 0 8:1 / / ro - ext4 /dev/sda1 rw'] },
    77: { ns: 200, mounts: [volume] },
  });
  t.match(mounts.refresh(true).found, [{ readOnly: false }]);
  writeFileSync(join(mounts.procDir, '77', 'mountinfo'), '');
  const { readOnly, found } = mounts.refresh(true);
  t.same(readOnly, []);
  t.match(found, [{ readOnly: true }]);
});

t.test('real mounts: tmpfs with a hostile name, bind, overlay, loop', async (t) => {
  const dir = await mounted(t);
  const mounts = new Mounts();
  mounts.refresh(true);
  const evil = join(dir, 'a b\x1b]0;x');
  mkdirSync(evil);
  await run('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'x y', evil]);
  const { found } = mounts.refresh(false);
  const fs = found.find((one) => one.id.startsWith(`fs:${dir}/a b`));
  t.equal(fs?.id, `fs:${dir}/a b\\x1b]0;x`);
  for (const name of ['l', 'u', 'w', 'm']) mkdirSync(join(evil, name));
  const upper = `lowerdir=${evil}/l,upperdir=${evil}/u,workdir=${evil}/w`;
  if (await run('mount', ['-t', 'overlay', '-o', upper, 'overlay', `${evil}/m`]).catch(() => undefined)) {
    const overlay = mounts.refresh(false).found.find((one) => one.fsType === 'overlay');
    t.same(overlay?.under, [fs?.id]);
    await run('umount', [`${evil}/m`]);
  }
  await run('umount', [evil]);
  t.ok(mounts.refresh(false).gone.some(({ id }) => id === fs?.id));
});

t.test('a mount in another namespace is found, by a look-up at once', async (t) => {
  const dir = await mounted(t);
  mkdirSync(join(dir, 'in'));
  const mounts = new Mounts();
  mounts.refresh(true);
  const script = `mount -t tmpfs inner ${join(dir, 'in')} && echo ready && exec sleep 1000`;
  const inner = await start(t, '/bin/sh', ['-c', script], {
    wrap: ['unshare', '--mount', '--propagation', 'private'],
  });
  await inner.line(/^ready/);
  t.notOk(existsSync(join(dir, 'in', 'x')));
  const text = readFileSync(`/proc/${inner.pid}/mountinfo`, 'utf8');
  const line = parseMountinfo(text).find(({ source }) => source === 'inner');
  const ns = Number(readlinkSync(`/proc/${inner.pid}/ns/mnt`).slice(5, -1));
  const dev = line?.dev ?? 0;
  t.equal(new Devices(mounts).nodeOf(dev, inner.pid), `fs:${dir}/in@mnt:${ns}`);
  t.equal(mounts.refresh(false).found.length, 1, 'and is told by the next pass');
  const late = new Mounts();
  t.ok(
    late.refresh(true).found.some(({ mountNs }) => mountNs === ns),
    'a scan finds it as well',
  );
  await inner.stop();
  // Ten seconds between two scans, by the clock that is given.
  const after = performance.now() + 20_000;
  await until(() => late.refresh(true, after).gone.some(({ mountNs }) => mountNs === ns) || undefined, {
    timeoutMs: 1_000,
    what: 'its end',
  });
  t.equal(basename(dir).startsWith('xctl-'), true);
});
