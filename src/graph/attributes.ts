/**
 * The attributes of a node as people and rules see them: `xctl graph -o json` prints them, conditions of rules test
 * them, so a name here is a contract. Flat, and of plain values.
 */
import type { GraphNode, ProcessNode } from './model.js';

export type NodeAttrs = Readonly<Record<string, string | number | boolean | null>>;

const PROCESS = [
  'comm',
  'ppid',
  'threads',
  'state',
  'cpuShare',
  'cgroup',
  'containerId',
  'podUid',
  'rank',
  'job',
  'exitCode',
  'signal',
  'core',
  'oomKilled',
  'memoryFailed',
  'delayShare',
  'wait',
  'waitsIn',
  'oomLimitBytes',
] as const;
const THING = ['holders', 'members'] as const;

/** Every attribute that a node of a type may have; a rule that names another one is refused. */
export const ATTRIBUTES: Readonly<Record<string, readonly string[]>> = {
  process: PROCESS,
  flow: [
    'state',
    'trouble',
    'unackedBytes',
    'backoff',
    'retransmits',
    'srttUs',
    'caState',
    'remotePort',
    'errno',
  ],
  peer: ['address'],
  'block-device': [
    'kind',
    'gone',
    'inFlight',
    'oldestMs',
    'errors',
    'model',
    'suspended',
    'failedMembers',
    'errorStatus',
  ],
  filesystem: ['fsType', 'readOnly', 'usedPercent', 'freeInodes', 'server', 'gone'],
  cgroup: ['throttledMs', 'memoryBytes', 'memoryLimitBytes', 'quotaMs', 'oomKills'],
  gpu: [
    'name',
    'state',
    'usedPercent',
    'memoryBytes',
    'xid',
    'throttle',
    'temperatureC',
    'users',
    'virtualization',
    'mig',
    'reason',
    'scope',
  ],
  'rdma-port': ['state', 'netdev', 'driver', 'rateGbps', 'falls', 'linkLayer'],
  qp: ['state', 'type', 'remote', 'remoteQpn', 'retries', 'failed'],
  communicator: ['ranks', 'here', 'counted'],
  pipe: THING,
  'unix-socket': THING,
  lock: THING,
  futex: THING,
  'poll-set': THING,
  file: THING,
  device: THING,
  link: THING,
  error: THING,
  nvswitch: THING,
  thing: THING,
};

export function attrsOf(node: GraphNode): NodeAttrs {
  switch (node.type) {
    case 'process':
      return {
        comm: node.comm,
        ppid: node.ppid,
        threads: node.threadCount,
        state: node.exit === undefined ? 'running' : 'exited',
        cpuShare: Math.round(node.cpuShare * 1_000) / 1_000,
        ...waitOf(node),
        ...(node.cgroup !== undefined && { cgroup: node.cgroup }),
        ...(node.containerId !== undefined && { containerId: node.containerId }),
        ...(node.podUid !== undefined && { podUid: node.podUid }),
        ...(node.job?.rank !== undefined && { rank: node.job.rank }),
        ...(node.job !== undefined && { job: node.job.launcher ?? node.job.because }),
        ...(node.exit?.attrs.code !== undefined && { exitCode: node.exit.attrs.code }),
        ...(node.exit?.attrs.signal !== undefined && { signal: node.exit.attrs.signal }),
        ...(node.exit?.attrs.core !== undefined && { core: true }),
        ...(node.oomKill !== undefined && {
          oomKilled: true,
          oomLimitBytes: node.oomKill.attrs.limitBytes ?? null,
        }),
        ...(node.memoryFailure !== undefined && { memoryFailed: true }),
        ...(node.delayShare > 0 && { delayShare: Math.round(node.delayShare * 1_000) / 1_000 }),
      };
    case 'flow':
      return {
        state: node.attrs?.state ?? null,
        trouble: node.trouble?.kind ?? null,
        unackedBytes: node.attrs?.unackedBytes ?? null,
        backoff: node.attrs?.backoff ?? null,
        retransmits: node.attrs?.retransmits ?? null,
        srttUs: node.attrs?.srttUs ?? null,
        caState: node.attrs?.caState ?? null,
        remotePort: node.attrs?.rport ?? null,
        errno: node.errno ?? null,
      };
    case 'peer':
      return { address: node.address };
    case 'block-device':
      return {
        kind: node.device?.kind ?? null,
        gone: node.goneTs !== undefined,
        inFlight: node.use?.attrs.inFlight ?? null,
        oldestMs: node.use?.fact.value ?? null,
        errors: node.ioError?.count ?? 0,
        errorStatus: node.ioError?.attrs.status ?? null,
        model: node.device?.model ?? null,
        suspended: node.suspended !== undefined,
        failedMembers: node.device?.failedMembers ?? null,
      };
    case 'filesystem':
      return {
        fsType: node.mount?.fsType ?? null,
        readOnly: node.mount?.readOnly ?? null,
        usedPercent: node.space?.fact.value ?? null,
        freeInodes: node.space?.attrs.freeInodes ?? null,
        server: node.mount?.server ?? null,
        gone: node.goneTs !== undefined,
      };
    case 'cgroup':
      return {
        throttledMs: node.throttle?.fact.value ?? null,
        memoryBytes: node.memory?.attrs.usageBytes ?? null,
        memoryLimitBytes: node.memory?.attrs.limitBytes ?? null,
        quotaMs: node.throttle?.attrs.quotaMs ?? null,
        oomKills: node.memory?.attrs.oomKills ?? null,
      };
    case 'gpu':
      return {
        name: node.device?.attrs.name ?? null,
        state: node.state?.attrs.state ?? null,
        reason: node.trouble?.attrs.reason ?? null,
        scope: node.trouble?.attrs.scope ?? null,
        usedPercent: node.use?.attrs.gpuPercent ?? null,
        memoryBytes: node.use?.attrs.usedBytes ?? null,
        xid: node.xids.at(-1)?.code ?? null,
        throttle: node.throttle === undefined ? null : node.throttle.reasons.join(' '),
        temperatureC: node.use?.attrs.temperatureC ?? null,
        users: node.users.size,
        virtualization: node.device?.attrs.virtualization ?? null,
        mig: node.device?.attrs.mig ?? null,
      };
    case 'rdma-port':
      return {
        state: node.down?.state ?? node.port?.attrs.state ?? null,
        netdev: node.port?.attrs.netdev ?? null,
        driver: node.port?.attrs.driver ?? null,
        rateGbps: node.port?.attrs.rateGbps ?? null,
        falls: node.falls.length,
        linkLayer: node.port?.attrs.linkLayer ?? null,
      };
    case 'qp': {
      const { attrs, run, failure, gone } = node.life;
      return {
        state: gone === undefined ? (attrs.state ?? null) : 'DESTROYED',
        type: attrs.type ?? null,
        remote: attrs.remote ?? null,
        remoteQpn: attrs.remoteQpn ?? null,
        retries: run?.retries ?? 0,
        failed: failure === undefined ? null : (failure.status ?? 'ERR'),
      };
    }
    case 'communicator':
      return { ranks: node.nranks ?? null, here: node.members.size, counted: node.counted };
    default:
      return { holders: node.holders.length, members: node.members.length };
  }
}

/** What its main thread waits in. */
function waitOf(node: ProcessNode): NodeAttrs {
  const wait = node.threads.get(node.pid)?.wait;
  if (wait === undefined) return {};
  return { wait: wait.type, ...(wait.type === 'wait.other' && { waitsIn: wait.attrs.what }) };
}
