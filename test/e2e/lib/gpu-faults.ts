/**
 * Faults of GPUs, made with the double of NVML and lines of the driver, each with what `xctl why` must say of the process
 * that uses the GPU. Shared by the tests (is the answer right?) and the benchmark (how soon?).
 */
import type { WhyAnswer } from '../../../src/scene/answer.js';
import { type Agent, startAgent } from '../../lib/agent.js';
import { type Proc, start } from '../../lib/proc.js';
import type { Scope } from '../../lib/scope.js';
import { until } from '../../lib/until.js';
import { nvmlDouble } from '../../nvml/double/library.js';
import { type DoubleGpu, Scenario } from '../../nvml/double/scenario.js';
import { type Printed, printed, says } from '../../xid/driver.js';
import { brief } from './ask.js';
import { type FakeKmsg, fakeKmsg } from './fake-kmsg.js';

const GPUS = 12;
/** As the double numbers them. */
const GPUS_OF_A_DOMAIN = 14;
/** Whoever asks about faults of GPUs alone. */
const OF_GPUS = ['--probes', 'process,waits,kmsg,gpu'];
const GIB = 2 ** 30;
const XID_EVENT = 8;
const GPU_IS_LOST = 15;
const RESET_REQUIRED = 16;

export interface GpuWorldOptions {
  /** 12 unless said; the double has 32. */
  readonly gpus?: number;
  /** Further arguments of the agent; the probes of GPUs and processes unless said. */
  readonly args?: readonly string[];
}

/** An agent whose GPUs and kernel log are made up, one GPU for each fault. */
export class GpuWorld {
  readonly agent: Agent;
  readonly #kmsg: FakeKmsg;
  readonly #scenario: Scenario;
  readonly #gpus = new Map<number, DoubleGpu>();
  readonly #events: (readonly number[])[] = [];
  #next = 0;

  private constructor(agent: Agent, kmsg: FakeKmsg, scenario: Scenario) {
    this.agent = agent;
    this.#kmsg = kmsg;
    this.#scenario = scenario;
  }

  static async open(scope: Scope, { gpus = GPUS, args = OF_GPUS }: GpuWorldOptions = {}): Promise<GpuWorld> {
    const scenario = new Scenario(scope);
    scenario.set({ gpus });
    const kmsg = fakeKmsg(scope);
    const agent = await startAgent(scope, {
      wrap: kmsg.wrap,
      args: [...args, '--nvml', await nvmlDouble()],
      env: { XCTL_NVML_SCENARIO: scenario.path },
    });
    return new GpuWorld(agent, kmsg, scenario);
  }

  /** A GPU with this process on it, as soon as the agent knows of both. */
  async used(pid: number, more: DoubleGpu = {}): Promise<number> {
    const gpu = this.#next++;
    this.set(gpu, { util: [90, 10], nvlink: [4, 0, 0, 0], processes: [{ pid, bytes: GIB, sm: 0 }], ...more });
    await until(
      async () => {
        const graph = JSON.parse((await this.agent.xctl('graph', '-o', 'json')).stdout) as {
          readonly edges: readonly { readonly from: string; readonly to: string }[];
        };
        return graph.edges.some(({ from, to }) => from === `pid:${pid}` && to === `gpu:${gpu}`);
      },
      { timeoutMs: 15_000, what: `process ${pid} on gpu:${gpu}`, everyMs: 50 },
    );
    return gpu;
  }

  set(gpu: number, more: DoubleGpu): void {
    this.#gpus.set(gpu, { ...this.#gpus.get(gpu), ...more });
    this.#scenario.change({ gpu: Object.fromEntries(this.#gpus), events: this.#events });
  }

  /** Every call about it hangs; without one, none does. */
  hang(gpu?: number): void {
    this.#scenario.change({ hang: gpu === undefined ? [] : [[gpu, '*']] });
  }

  /** NVML's event set tells of it. */
  event(gpu: number, xid: number): void {
    this.#events.push([this.#events.length + 1, gpu, XID_EVENT, xid]);
    this.set(gpu, {});
  }

  /** The driver writes its line. */
  line(gpu: number, line: Omit<Printed, 'pci'>): void {
    const domain = Math.trunc(gpu / GPUS_OF_A_DOMAIN);
    const bus = 0x1b + 0x10 * (gpu % GPUS_OF_A_DOMAIN);
    const pci = `PCI:${hex(domain, 4)}:${hex(bus, 2)}:00`;
    this.#kmsg.line(printed({ pci, message: says(line.code), ...line }));
  }
}

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, '0');
}

export interface GpuFault {
  readonly name: string;
  readonly scene: 'GpuError' | 'GpuOom';
  readonly subScene: string | null;
  /** The end of the chain: `error:<ails>/gpu:N`. */
  readonly ails: string;
  readonly inject: (world: GpuWorld, gpu: number, victim: Proc) => unknown;
  /** Ends the fault; absent where that takes a reset. */
  readonly heal?: (world: GpuWorld, gpu: number, victim: Proc) => void;
}

export const GPU_FAULTS: readonly GpuFault[] = [
  {
    name: 'XID in the kernel log',
    scene: 'GpuError',
    subScene: 'OffBus',
    ails: 'xid-79',
    inject: (world, gpu, { pid }) => world.line(gpu, { code: 79, pid, comm: 'sleep' }),
  },
  {
    name: 'XID by NVML',
    scene: 'GpuError',
    subScene: 'Ecc',
    ails: 'xid-95',
    inject: (world, gpu) => world.event(gpu, 95),
  },
  {
    name: 'XID on which the process ends',
    scene: 'GpuError',
    subScene: 'Ecc',
    ails: 'xid-48',
    inject: async (world, gpu, victim) => {
      world.line(gpu, { code: 48 });
      world.line(gpu, { code: 45, pid: victim.pid, comm: 'sleep' });
      process.kill(victim.pid, 'SIGABRT');
      await victim.exited;
    },
  },
  {
    name: 'GPU lost',
    scene: 'GpuError',
    subScene: 'OffBus',
    ails: 'lost',
    inject: (world, gpu) => world.set(gpu, { code: GPU_IS_LOST }),
  },
  {
    name: 'GPU that wants a reset',
    scene: 'GpuError',
    subScene: null,
    ails: 'lost',
    inject: (world, gpu) => world.set(gpu, { code: RESET_REQUIRED }),
  },
  {
    name: 'ECC, uncorrected',
    scene: 'GpuError',
    subScene: 'Ecc',
    ails: 'ecc',
    inject: (world, gpu) => world.set(gpu, { ecc: [0, 2, 0, 2] }),
  },
  {
    name: 'remap pending',
    scene: 'GpuError',
    subScene: 'Ecc',
    ails: 'remap-pending',
    inject: (world, gpu) => world.set(gpu, { remap: [0, 1, 1, 0] }),
    heal: (world, gpu) => world.set(gpu, { remap: [0, 1, 0, 0] }),
  },
  {
    name: 'remap failed',
    scene: 'GpuError',
    subScene: 'Ecc',
    ails: 'remap-failed',
    inject: (world, gpu) => world.set(gpu, { remap: [0, 1, 0, 1] }),
  },
  {
    name: 'NVLink down',
    scene: 'GpuError',
    subScene: 'Nvlink',
    ails: 'nvlink',
    inject: (world, gpu) => world.set(gpu, { nvlink: [4, 0b0100, 0, 0] }),
    heal: (world, gpu) => world.set(gpu, { nvlink: [4, 0, 0, 0] }),
  },
  {
    name: 'out of memory, it waits',
    scene: 'GpuOom',
    subScene: null,
    ails: 'out-of-memory',
    inject: (world, gpu, { pid }) => world.set(gpu, full(pid)),
    heal: (world, gpu) => world.set(gpu, { usedBytes: 2 * GIB }),
  },
  {
    name: 'out of memory, it ends',
    scene: 'GpuOom',
    subScene: null,
    ails: 'out-of-memory',
    inject: async (world, gpu, victim) => {
      world.set(gpu, full(victim.pid));
      process.kill(victim.pid, 'SIGABRT');
      await victim.exited;
    },
  },
];

/** Somebody else, this very process, takes what there is. */
function full(pid: number): DoubleGpu {
  return {
    usedBytes: 79.5 * GIB,
    util: [0, 0],
    processes: [
      { pid: process.pid, bytes: 78 * GIB },
      { pid, bytes: GIB },
    ],
  };
}

export interface Victim {
  readonly pid: number;
  readonly gpu: number;
  readonly inject: () => Promise<void>;
  readonly right: (answer: WhyAnswer) => boolean;
  readonly heal?: () => void;
}

/** A process that waits, on a GPU of its own. */
export async function prepare(scope: Scope, world: GpuWorld, fault: GpuFault): Promise<Victim> {
  const victim = await start(scope, 'sleep', ['1000']);
  const gpu = await world.used(victim.pid);
  const { heal } = fault;
  return {
    pid: victim.pid,
    gpu,
    inject: async () => {
      await fault.inject(world, gpu, victim);
    },
    right: (answer) => {
      const { scene, subScene, root, nodes } = brief(answer);
      const chain = [`pid:${victim.pid}`, `gpu:${gpu}`, `error:${fault.ails}/gpu:${gpu}`];
      return (
        scene === fault.scene &&
        subScene === fault.subScene &&
        root === `gpu:${gpu}` &&
        JSON.stringify(nodes) === JSON.stringify(chain)
      );
    },
    ...(heal !== undefined && { heal: () => heal(world, gpu, victim) }),
  };
}
