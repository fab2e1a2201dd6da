/** Numbers and names as people read them. */
import type { FlowAttrs } from '../events/event.js';
import { endpoint } from '../events/ids.js';
import type { CgroupNode, GraphNode, ProcessNode, Thread } from '../graph/model.js';

/** `12.4 s`, `3 min 20 s`, `340 ms`. */
export function duration(ms: number): string {
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  if (ms < 59_950) return `${(ms / 1_000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1_000);
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${seconds % 60} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** `1,234 bytes`. */
export function count(n: number, what: string, plural = `${what}s`): string {
  // toLocaleString would load ICU: 17 ms in a command that has 100.
  const digits = String(n).replace(/\B(?=(\d{3})+$)/g, ',');
  return `${digits} ${n === 1 ? what : plural}`;
}

/** `512 B`, `4 KiB`, `1.5 GiB`. */
export function bytes(n: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  let size = n;
  let unit = 0;
  while (size >= 1024 && unit < units.length - 1) {
    size /= 1024;
    unit++;
  }
  const digits = size >= 100 || Number.isInteger(size) ? size.toFixed(0) : size.toFixed(1);
  return `${digits} ${units[unit] ?? 'B'}`;
}

/** `4242 (python3)`. */
export function who(process: ProcessNode): string {
  return process.comm === '' ? `${process.pid}` : `${process.pid} (${process.comm})`;
}

/** A process's cgroup as people gave it: its full path where that is known. */
export function cgroupOf(process: ProcessNode, cgroup: CgroupNode): string {
  return process.cgroup ?? cgroup.id.slice('cgroup:'.length);
}

export function remoteOf(attrs: FlowAttrs): string {
  return endpoint(attrs.remote, attrs.rport);
}

/** What a thread does to what it waits for. */
export function waitNote(thread: Thread): string {
  const { wait } = thread;
  const name = thread.tid === thread.process.pid ? '' : `thread ${thread.tid} (${wait.attrs.comm}) `;
  return `${name}${verb(thread)}`;
}

function verb(thread: Thread): string {
  const { wait } = thread;
  switch (wait.type) {
    case 'wait.run':
      return 'runs';
    case 'wait.sleep':
      return `sleeps in ${wait.attrs.syscall ?? 'a timer'}`;
    case 'wait.futex':
      return 'waits for a signal on a futex (condition, semaphore or lock without an owner)';
    case 'wait.lock':
      return `waits for a lock held by thread ${wait.attrs.ownerTid}`;
    case 'wait.join':
      return `joins thread ${wait.attrs.ownerTid}`;
    case 'wait.pipe':
      return wait.attrs.op === 'write' ? 'writes to a full pipe' : 'reads from an empty pipe';
    case 'wait.unix':
      return wait.attrs.op === 'write' ? 'writes to a full unix socket' : 'reads from a unix socket';
    case 'wait.tcp':
      return tcpVerb(wait.attrs.op);
    case 'wait.accept':
      return 'waits for a connection';
    case 'wait.poll':
      return `polls ${count(wait.attrs.nfds, 'descriptor')}`;
    case 'wait.child':
      return wait.attrs.childPid === 0 ? 'waits for any child' : 'waits for its child';
    case 'wait.file_lock':
      return 'waits for a file lock';
    case 'wait.disk':
      return 'is in uninterruptible sleep (D) on a device';
    case 'wait.device':
      return 'waits in a device driver';
    case 'wait.stopped':
      return 'is stopped by a signal';
    case 'wait.traced':
      return 'is stopped by a tracer';
    case 'wait.frozen':
      return 'is frozen by its cgroup';
    case 'wait.other':
      return `waits in ${wait.attrs.what}`;
  }
}

function tcpVerb(op: string | undefined): string {
  if (op === 'connect') return 'connects';
  return op === 'write' ? 'sends to a full socket' : 'waits for data from its peer';
}

/** The type name that answers use. */
export function nodeTypeOf(node: GraphNode): string {
  return node.type;
}
