/**
 * libibverbs, found at run time and never linked: where the functions of each device's provider library lie in this
 * process. `ibv_post_send` and `ibv_poll_cq` are inline and call through `ibv_context.ops`, which is at a fixed place of
 * the public ABI (infiniband/verbs.h); no provider exports them.
 *
 * A device is opened, looked at and closed again: an open one keeps its driver from being unloaded. Every call runs on a
 * thread of libuv's pool, since a driver that hangs does not answer.
 */
import { NativeError } from '../util/errors.js';
import { copyFrom } from './libc.js';
import { Pinned } from './memory.js';
import { cString, Library, type NativeFunction } from './native.js';

export const IBVERBS_SONAME = 'libibverbs.so.1';

/** Offsets in struct ibv_context, bytes. */
const OPS_POST_SEND = 208;
const POINTER_BYTES = 8;
/** No node has more. */
const MAX_DEVICES = 256;

export interface ProviderAddresses {
  /** As the kernel names the device. */
  readonly device: string;
  /** Address in this process. */
  readonly postSend: number;
}

type OnePointer = NativeFunction<readonly ['ptr']>;

export class Ibverbs {
  readonly #list: OnePointer;
  readonly #freeList: OnePointer;
  readonly #name: OnePointer;
  readonly #open: OnePointer;
  readonly #close: OnePointer;
  /** The call that has not come back, and performance.now() of when it was made. */
  pending: { readonly call: string; readonly since: number } | undefined;

  /** @throws NativeError `ENOENT` it is not there; `ENOSYS` it is no libibverbs */
  constructor(path = IBVERBS_SONAME) {
    const library = Library.open(path, 'apt-get install libibverbs1');
    this.#list = library.bind('ibv_get_device_list', 'ptr', ['ptr']);
    this.#freeList = library.bind('ibv_free_device_list', 'void', ['ptr']);
    this.#name = library.bind('ibv_get_device_name', 'ptr', ['ptr']);
    this.#open = library.bind('ibv_open_device', 'ptr', ['ptr']);
    this.#close = library.bind('ibv_close_device', 'i32', ['ptr']);
  }

  /**
   * Of every device that can be opened; those that cannot are left out.
   * @throws NativeError when there is no list of devices
   */
  async providers(): Promise<readonly ProviderAddresses[]> {
    const count = new Pinned(4);
    const list = await this.#call('ibv_get_device_list', this.#list, count);
    if (list === 0)
      throw new NativeError('ibv_get_device_list', 'ENODEV', 'no device that libibverbs can use');
    const found: ProviderAddresses[] = [];
    const devices = new Pinned(POINTER_BYTES * Math.min(count.view.getInt32(0, true), MAX_DEVICES));
    copyFrom(list, devices);
    try {
      for (let at = 0; at < devices.bytes.length; at += POINTER_BYTES) {
        const provider = await this.#look(devices.readU64(at));
        if (provider !== undefined) found.push(provider);
      }
    } finally {
      await this.#call('ibv_free_device_list', this.#freeList, list);
    }
    return found;
  }

  async #look(device: number): Promise<ProviderAddresses | undefined> {
    const name = cString(this.#name.call(device));
    const context = await this.#call('ibv_open_device', this.#open, device);
    if (context === 0) return undefined;
    const postSend = new Pinned(POINTER_BYTES);
    copyFrom(context + OPS_POST_SEND, postSend);
    await this.#call('ibv_close_device', this.#close, context);
    return { device: name, postSend: postSend.readU64(0) };
  }

  async #call(call: string, fn: OnePointer, argument: Pinned | number): Promise<number> {
    this.pending = { call, since: performance.now() };
    try {
      return await fn.callAsync(argument);
    } finally {
      this.pending = undefined;
    }
  }
}
