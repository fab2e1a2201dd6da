import t from 'tap';
import { placementOf } from '../../src/probes/cgroup.js';
import { fc } from '../lib/property.js';

const ID = '4f'.repeat(32);
const UID = '0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9';
const SYSTEMD_UID = UID.replaceAll('-', '_');
const STATIC_UID = 'ab'.repeat(16);

const CASES: readonly [string, string, { readonly containerId?: string; readonly podUid?: string }][] = [
  ['no container', '/user.slice/user-0.slice/session-1.scope', {}],
  ['Docker, systemd', `/system.slice/docker-${ID}.scope`, { containerId: ID }],
  ['Docker, cgroupfs', `/docker/${ID}`, { containerId: ID }],
  [
    'containerd, systemd',
    `/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod${SYSTEMD_UID}.slice/cri-containerd-${ID}.scope`,
    { containerId: ID, podUid: UID },
  ],
  ['containerd, cgroupfs', `/kubepods/besteffort/pod${UID}/${ID}`, { containerId: ID, podUid: UID }],
  [
    'containerd, systemd names under cgroupfs',
    `/system.slice/containerd.service/kubepods-pod${SYSTEMD_UID}.slice:cri-containerd:${ID}`,
    { containerId: ID, podUid: UID },
  ],
  [
    'CRI-O, systemd',
    `/kubepods.slice/kubepods-pod${SYSTEMD_UID}.slice/crio-${ID}.scope/container`,
    { containerId: ID, podUid: UID },
  ],
  [
    'static pod',
    `/kubepods.slice/kubepods-pod${STATIC_UID}.slice/cri-containerd-${ID}.scope`,
    { containerId: ID, podUid: STATIC_UID },
  ],
  ['Podman', `/machine.slice/libpod-${ID}.scope/container`, { containerId: ID }],
  [
    'Podman, rootless',
    `/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-${ID}.scope`,
    { containerId: ID },
  ],
  ["a container's monitor is not in it", `/machine.slice/libpod-conmon-${ID}.scope`, {}],
  ['a container in a container', `/docker/${'00'.repeat(32)}/docker/${ID}`, { containerId: ID }],
  ['another name of the same length is none', `/a/${ID}0`, {}],
  ['a pod outside kubepods is none', `/pod${UID}/x`, {}],
];

for (const [name, path, expected] of CASES) {
  t.test(name, async (t) => {
    t.same(placementOf(`0::${path}\n`), { path, ...expected }, 'v2');
    const v1 = `12:cpu,cpuacct:${path}\n11:memory:${path}\n1:name=systemd:/other\n`;
    t.same(placementOf(v1), { path, ...expected }, 'v1');
    t.same(placementOf(`${v1}0::/\n`), { path, ...expected }, 'both, v2 unused');
    t.same(
      placementOf(`0::/../../..${path}\n`),
      { path, ...expected },
      "seen from the agent's own namespace",
    );
  });
}

t.test('a v2 path that is not the root wins', async (t) => {
  t.equal(placementOf('4:memory:/old\n0::/new\n')?.path, '/new');
  t.equal(placementOf('4:memory:/\n0::/\n')?.path, '/');
  t.equal(placementOf('0::/..\n')?.path, '/');
  t.equal(placementOf('7:freezer:/f\n3:pids:/p\n')?.path, '/p');
});

t.test('any text at all', async (t) => {
  t.equal(placementOf(''), undefined);
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (path) => {
      const placement = placementOf(`0::/${path}\n`);
      return placement === undefined || placement.path.startsWith('/');
    }),
  );
});
