import t from 'tap';
import { jobOf, jobVariables, launcherOf } from '../../src/probes/job.js';
import { deviceKind } from '../../src/probes/proc.js';
import { fc } from '../lib/property.js';

t.test('launchers', async (t) => {
  const cases: readonly [string, readonly string[], string | undefined][] = [
    ['torchrun', ['/usr/bin/python3', '/usr/local/bin/torchrun', '--nnodes=2'], 'torchrun'],
    ['python3', ['python3', '/opt/venv/bin/torchrun', 'train.py'], 'torchrun'],
    ['python3.11', ['python3.11', '-u', '-m', 'torch.distributed.run', 'train.py'], 'torchrun'],
    ['python', ['python', '-W', 'ignore', '-mtorch.distributed.launch'], 'torchrun'],
    ['python', ['python', '-m', 'http.server'], undefined],
    ['python', ['python', 'train.py', '-m', 'torch.distributed.run'], undefined],
    ['python', ['python', '-c', 'import torchrun'], undefined],
    ['slurmstepd', ['slurmstepd: [1234.0]'], 'slurmstepd'],
    ['srun', ['/opt/slurm/bin/srun', '-n', '8'], 'srun'],
    ['mpirun', ['mpirun', '-np', '4', 'a.out'], 'mpirun'],
    ['mpiexec', ['/usr/bin/mpiexec'], 'mpiexec'],
    ['hydra_pmi_proxy', ['/opt/mpich/bin/hydra_pmi_proxy'], 'hydra_pmi_proxy'],
    ['prterun', [], 'prterun'],
    ['python', ['/usr/bin/python', '/usr/bin/deepspeed', 'x.py'], 'deepspeed'],
    ['accelerate', ['/usr/bin/python', '/usr/bin/accelerate', 'launch'], 'accelerate'],
    ['bash', ['bash', '-c', 'torchrun train.py'], undefined],
    ['', [], undefined],
  ];
  for (const [comm, argv, expected] of cases) {
    t.equal(launcherOf(comm, argv), expected, `${comm}: ${argv.join(' ')}`);
  }
});

const environ = (variables: Readonly<Record<string, string>>): Buffer =>
  Buffer.from(
    Object.entries(variables)
      .map(([name, value]) => `${name}=${value}\0`)
      .join(''),
  );

t.test('of an environment only the named variables are kept, and the buffer is zeroed', async (t) => {
  const buffer = environ({ HOME: '/root', AWS_SECRET: 'hush', RANK: '3', WORLD_SIZE: '8', XRANK: '1' });
  t.same(
    [...jobVariables(buffer)],
    [
      ['RANK', '3'],
      ['WORLD_SIZE', '8'],
    ],
  );
  t.ok(buffer.every((byte) => byte === 0));
});

t.test('which variable counts', async (t) => {
  const job = (variables: Record<string, string>) =>
    jobOf('launcher', 'srun', jobVariables(environ(variables)));
  t.same(job({ SLURM_JOB_ID: '9', SLURM_PROCID: '5', SLURM_NTASKS: '16', SLURM_LOCALID: '1' }), {
    because: 'launcher',
    launcher: 'srun',
    id: '9',
    rank: 5,
    localRank: 1,
    worldSize: 16,
  });
  t.match(job({ SLURM_PROCID: '0', RANK: '7', LOCAL_RANK: '2', WORLD_SIZE: '64' }), {
    rank: 7,
    localRank: 2,
    worldSize: 64,
  });
  t.match(job({ OMPI_COMM_WORLD_RANK: '2', OMPI_COMM_WORLD_SIZE: '4', OMPI_COMM_WORLD_LOCAL_RANK: '1' }), {
    rank: 2,
    worldSize: 4,
    localRank: 1,
  });
  t.match(job({ PMI_RANK: '1', PMI_SIZE: '2' }), { rank: 1, worldSize: 2 });
  t.match(job({ TORCHELASTIC_RUN_ID: 'run-1' }), { id: 'run-1', rank: undefined });
  t.same(jobOf('gpu', undefined, new Map([['RANK', '-1; rm']])), { because: 'gpu' }, 'no number, no rank');
});

t.test('any bytes at all', async () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
      const buffer = Buffer.from(bytes);
      jobVariables(buffer);
      return buffer.every((byte) => byte === 0);
    }),
  );
});

t.test('devices', async (t) => {
  t.equal(deviceKind('/dev/nvidia0'), 'gpu');
  t.equal(deviceKind('/dev/nvidiactl'), 'gpu');
  t.equal(deviceKind('/dev/nvidia-uvm'), 'gpu');
  t.equal(deviceKind('/dev/nvidia-persistenced.sock'), undefined);
  t.equal(deviceKind('/dev/infiniband/uverbs1'), 'rdma');
  t.equal(deviceKind('/dev/infiniband/rdma_cm'), undefined);
  t.equal(deviceKind('/tmp/nvidia0'), undefined);
  t.equal(deviceKind('socket:[1]'), undefined);
});
