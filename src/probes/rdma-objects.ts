/**
 * The BPF objects of probe `rdma`: each is loaded when its modules have come, and let go of when they have left or are
 * others. One that the kernel refuses is not tried again until they are.
 */
import type { LoadedObject } from '../kernel/program.js';
import type { Check } from '../util/check.js';
import { messageOf } from '../util/errors.js';
import type { ProbeContext } from './probe.js';
import { programChecks, type Without } from './program-checks.js';
import { RDMA_OBJECTS, type RdmaModules, type RdmaObject } from './rdma-modules.js';

const WITHOUT: Readonly<Record<RdmaObject, Without>> = {
  rdma: {
    created: 'new queue pairs are not seen',
    destroyed: 'ends of queue pairs are not seen',
    modify: 'states, peers and timeouts of queue pairs are not seen',
    modified: 'states, peers and timeouts of queue pairs are not seen',
    kernel_modify: 'states of the kernel’s own queue pairs are not seen',
    kernel_modified: 'states of the kernel’s own queue pairs are not seen',
    qp_event: 'errors that a driver tells of queue pairs are not seen',
    cq_event: 'errors that a driver tells of completion queues are not seen',
    port_event: 'changes of ports are seen a second late',
    seen: 'queue pairs older than the agent are not known',
  },
  rdma_cm: { connection: 'events of the connection manager are not seen' },
  rdma_rxe: {
    retry: 'retries of Soft-RoCE are not seen by queue pair',
    timer: 'the first retry to a peer that is silent is told when the second begins',
    rnr: 'receivers without buffers are not seen by queue pair',
    gave_up: 'queue pairs that give up are not seen',
    begun: 'one retry of each device may be taken for another queue pair’s',
    ended: 'the last retries of a queue pair may not be told',
    retries: 'ends of retries are not seen',
  },
};

const ABSENT: Readonly<Record<RdmaObject, string>> = {
  rdma: 'no InfiniBand modules (ib_core, ib_uverbs)',
  rdma_cm: 'no module rdma_ucm',
  rdma_rxe: 'no Soft-RoCE device',
};

/** What is done with an object when it has come or gone. */
export interface ObjectUses {
  readonly loaded: (name: RdmaObject, object: LoadedObject) => void;
  readonly left: (name: RdmaObject) => void;
}

interface State {
  /** What its modules were called when it was last loaded, or refused. */
  modules: string | undefined;
  object: LoadedObject | undefined;
  failure: string | undefined;
}

export class RdmaObjects {
  readonly #context: Pick<ProbeContext, 'kernel' | 'log'>;
  readonly #modules: RdmaModules;
  readonly #uses: ObjectUses;
  readonly #states: ReadonlyMap<RdmaObject, State>;
  #turn: Promise<void> | undefined;
  #stopped = false;

  constructor(context: Pick<ProbeContext, 'kernel' | 'log'>, modules: RdmaModules, uses: ObjectUses) {
    this.#context = context;
    this.#modules = modules;
    this.#uses = uses;
    this.#states = new Map(
      RDMA_OBJECTS.map((name) => [name, { modules: undefined, object: undefined, failure: undefined }]),
    );
  }

  get(name: RdmaObject): LoadedObject | undefined {
    return this.#states.get(name)?.object;
  }

  /** Loads what has come, lets go of what has left; joins one that is under way. */
  turn(): Promise<void> {
    this.#turn ??= this.#look().finally(() => {
      this.#turn = undefined;
    });
    return this.#turn;
  }

  stop(): void {
    this.#stopped = true;
    for (const [name, state] of this.#states) this.#drop(name, state);
  }

  /** The first sums the probe up. */
  checks(): readonly Check[] {
    return [...this.#states].flatMap(([name, state]) => this.#checksOf(name, state));
  }

  async #look(): Promise<void> {
    for (const [name, state] of this.#states) {
      if (this.#stopped) return;
      const modules = this.#modules.present(name);
      if (modules === state.modules) continue;
      this.#drop(name, state);
      state.modules = modules;
      if (modules !== undefined) await this.#load(name, state);
    }
  }

  async #load(name: RdmaObject, state: State): Promise<void> {
    try {
      const object = await this.#context.kernel.load(name);
      if (this.#stopped) {
        object.stop();
        return;
      }
      state.object = object;
      state.failure = undefined;
      this.#uses.loaded(name, object);
    } catch (error) {
      if (this.#stopped) return;
      state.failure = messageOf(error);
      this.#context.log.warn('RDMA programs could not be loaded', { object: name, error: state.failure });
    }
  }

  #drop(name: RdmaObject, state: State): void {
    state.failure = undefined;
    const { object } = state;
    if (object === undefined) return;
    state.object = undefined;
    object.stop();
    this.#uses.left(name);
  }

  #checksOf(name: RdmaObject, { object, failure }: State): readonly Check[] {
    const probe = name === 'rdma' ? 'rdma' : `rdma/${name.slice('rdma_'.length)}`;
    if (object === undefined && failure === undefined)
      return [{ status: 'off', name: `probe ${probe}`, detail: ABSENT[name] }];
    // Soft-RoCE's and the connection manager's are parts: the probe works without them.
    const checks = programChecks(probe, object, failure, WITHOUT[name]);
    if (name === 'rdma') return checks;
    return checks.map((check) => (check.status === 'failed' ? { ...check, status: 'degraded' } : check));
  }
}
