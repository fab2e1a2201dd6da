/**
 * What one post costs on this machine: the very program on a function of libc that nobody uses, in this process alone,
 * called with a queue pair and a work request that look like real ones. With the probe and without, the difference is
 * the trap, which is nearly all of it, and the program. It takes some milliseconds, once.
 */
import { Pinned } from '../ffi/memory.js';
import { Library } from '../ffi/native.js';
import { functionOffsets } from '../kernel/elf.js';
import type { BpfMap, LoadedObject } from '../kernel/program.js';
import { XctlPostsKeyLayout } from '../kernel/abi.generated.js';
import { XctlError } from '../util/errors.js';
import { u64 } from './records.js';
import { ENTRY_BYTES, entryPoint } from './uprobe-entry.js';
import { openMapped, pathOf, readerOf, type Uprobes } from './uprobe-file.js';
import { type FileKind, mappedFiles } from './uprobe-maps.js';
import { readMaps } from './uprobe-watch.js';

/** Returns its first argument when the third is NULL, and begins with a push as functions of any size do. */
const IDLE_FUNCTION = 'argz_next';
const LIBC: readonly FileKind<'libc'>[] = [
  { library: 'libc', needle: '/libc', name: /\/libc(?:-[0-9.]+)?\.so(?:\.6)?$/ },
];
const ROUNDS = 11;
const CALLS = 200;
/** Of what the program reads of a device, a context, a queue pair and a work request. */
const BYTES = { device: 88, context: 16, qp: 64, wr: 128, sge: 16 } as const;
const AT = { qpNumber: 52, deviceName: 24, list: 16, pieces: 24, length: 8 } as const;

/** @returns ns. @throws XctlError, NativeError when it cannot be measured */
export async function measuredPostNs(object: LoadedObject, uprobes: Uprobes): Promise<number> {
  const [libc] = mappedFiles(await readMaps('self'), LIBC);
  if (libc === undefined) throw new XctlError('libc is not found');
  const handle = await openMapped('self', libc);
  try {
    const read = readerOf(handle);
    const start = (await functionOffsets(read, new Set([IDLE_FUNCTION]))).get(IDLE_FUNCTION);
    if (start === undefined) throw new XctlError(`${libc.path} does not export ${IDLE_FUNCTION}`);
    const { offset, stepped } = entryPoint(start, await read(start, ENTRY_BYTES));
    if (stepped) throw new XctlError(`${IDLE_FUNCTION} of ${libc.path} does not begin with a push`);
    const call = calls();
    // Once for nothing: what is called for the first time is slow.
    nsPerCall(call.run);
    const without = nsPerCall(call.run);
    const link = await uprobes.attach('verbs_post', {
      path: pathOf(handle),
      offsets: [offset],
      atReturn: false,
      cookie: 0,
      pid: process.pid,
    });
    try {
      const withProbe = nsPerCall(call.run);
      if (!forget(object.map('xctl_posts'), call.qp)) throw new XctlError('the probe was not run');
      return Math.max(1, Math.round(withProbe - without));
    } finally {
      await link.detach();
      forget(object.map('xctl_posts'), call.qp);
    }
  } finally {
    await handle.close();
  }
}

/** A queue pair as libibverbs has it, and a call with it and one work request. */
function calls(): { readonly qp: number; readonly run: () => void } {
  const [device, context, qp, wr, sge] = [
    new Pinned(BYTES.device),
    new Pinned(BYTES.context),
    new Pinned(BYTES.qp),
    new Pinned(BYTES.wr),
    new Pinned(BYTES.sge),
  ];
  device.bytes.write('none', AT.deviceName, 'latin1');
  context.writeAddress(0, device.address);
  qp.writeAddress(0, context.address);
  qp.view.setUint32(AT.qpNumber, 1, true);
  wr.writeAddress(AT.list, sge.address);
  wr.view.setInt32(AT.pieces, 1, true);
  sge.view.setUint32(AT.length, 64, true);
  const idle = Library.open(undefined).bind(IDLE_FUNCTION, 'ptr', ['ptr', 'ptr', 'ptr']);
  // Named here, so that what only C has the addresses of lives as long.
  const kept = [device, context, sge];
  return { qp: qp.address, run: () => void (kept.length > 0 && idle.call(qp, wr, 0)) };
}

/** The quickest of rounds: all else is somebody else's. */
function nsPerCall(run: () => void): number {
  const rounds = Array.from({ length: ROUNDS }, () => {
    const from = performance.now();
    for (let i = 0; i < CALLS; i++) run();
    return ((performance.now() - from) * 1e6) / CALLS;
  });
  return Math.min(...rounds);
}

/** @returns whether there was anything to forget. */
function forget(posts: BpfMap, qp: number): boolean {
  let found = false;
  for (const key of posts.keys()) {
    const view = new DataView(key.buffer, key.byteOffset, key.byteLength);
    if (u64(view, XctlPostsKeyLayout.qp) === qp) found = posts.delete(key) || found;
  }
  return found;
}
