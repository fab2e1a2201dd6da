/**
 * Which of InfiniBand's modules are here, and whether they are those that were here before. Programs and types of a
 * module can be had only while it is there; when it comes again (a driver is replaced) both are others.
 *
 * By what the modules make in sysfs, so that those built into the kernel count too. A few calls that the kernel answers
 * from its memory, some 20 us: done once a second.
 */
import { existsSync, readdirSync, statSync } from 'node:fs';

/** BPF objects by what they need. */
export const RDMA_OBJECTS = ['rdma', 'rdma_cm', 'rdma_rxe'] as const;
export type RdmaObject = (typeof RDMA_OBJECTS)[number];

const MAX_DEVICES = 256;

export class RdmaModules {
  readonly #sys: string;

  constructor(sysDir = '/sys') {
    this.#sys = sysDir;
  }

  /**
   * What an object's modules are called by now: another text, another load of them; undefined: they are not here.
   * Soft-RoCE's module counts only with a device of its kind: programs in it hold it, and it shall be free to go.
   */
  present(object: RdmaObject): string | undefined {
    switch (object) {
      case 'rdma':
        return this.#ids('class/infiniband', 'class/infiniband_verbs');
      case 'rdma_cm':
        return this.#ids('class/infiniband', 'class/misc/rdma_cm');
      case 'rdma_rxe':
        return this.#hasRxe() ? this.#ids('class/infiniband', 'module/rdma_rxe') : undefined;
    }
  }

  /** Of their directories in sysfs, which are never the same again. */
  #ids(...paths: readonly string[]): string | undefined {
    const ids: number[] = [];
    for (const path of paths) {
      const found = statSync(`${this.#sys}/${path}`, { throwIfNoEntry: false });
      if (found === undefined) return undefined;
      ids.push(found.ino);
    }
    return ids.join(' ');
  }

  /** Only its devices have a file `parent`. */
  #hasRxe(): boolean {
    const at = `${this.#sys}/class/infiniband`;
    try {
      return readdirSync(at)
        .slice(0, MAX_DEVICES)
        .some((name) => existsSync(`${at}/${name}/parent`));
    } catch {
      return false; // none
    }
  }
}
