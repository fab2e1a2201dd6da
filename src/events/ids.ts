/** Node ids: `kind:rest`. The one place where they are spelled. */

export function processId(pid: number): string {
  return `pid:${pid}`;
}

/** A v6 address is bracketed so that its port can be told from it. */
export function endpoint(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

export function flowId(local: string, lport: number, remote: string, rport: number): string {
  return `flow:${endpoint(local, lport)}-${endpoint(remote, rport)}`;
}

export function peerId(address: string): string {
  return `peer:${address}`;
}

export function pipeId(inode: number): string {
  return `pipe:${inode}`;
}

export function unixId(inode: number): string {
  return `unix:${inode}`;
}

/** A futex whose owner was read and checked. The address is only meaningful inside the process. */
export function lockId(pid: number, address: number): string {
  return `lock:${pid}/0x${address.toString(16)}`;
}

/** A futex without a known owner: condition, semaphore, foreign lock. */
export function futexId(pid: number, address: number): string {
  return `futex:${pid}/0x${address.toString(16)}`;
}

export function pollId(pid: number, tid: number): string {
  return `poll:${pid}/${tid}`;
}

export function fileId(major: number, minor: number, inode: number): string {
  return `file:${major}:${minor}/${inode}`;
}

export function blockId(name: string): string {
  return `block:${name}`;
}

/** By mount point. One that is not in the agent's own mount namespace may have the path of another: `ns` tells. */
export function fsId(mountPoint: string, ns?: number): string {
  return ns === undefined ? `fs:${mountPoint}` : `fs:${mountPoint}@mnt:${ns}`;
}

/** Path from the root of its hierarchy, or as much of its end as is known: `parent/leaf`. */
export function cgroupId(path: string): string {
  return `cgroup:${path}`;
}

/** By NVML's index, which is also nvidia-smi's. */
export function gpuId(index: number): string {
  return `gpu:${index}`;
}

/** A GPU by its PCI address: the kernel log knows no index. Whoever knows it (NVML) calls the same one `gpu:0`. */
export function gpuPciId(pci: string): string {
  return `gpu:${pci}`;
}

export function nvswitchId(instance: number): string {
  return `nvswitch:${instance}`;
}

/** A communicator of NCCL by the hash of its unique id, which all of its ranks have in common. */
export function commId(hash: string): string {
  return `comm:${hash}`;
}

/** One whose unique id nobody saw: known by its address in one process alone. */
export function unknownCommId(pid: number, handle: string): string {
  return `comm:${pid}/${handle}`;
}

/** A port of an RDMA device, as the kernel names the device: `rdma:mlx5_0/1`. */
export function rdmaPortId(device: string, port: number): string {
  return `rdma:${device}/${port}`;
}

/** A queue pair: numbers are unique within a device only. */
export function qpId(device: string, qpn: number): string {
  return `qp:${device}/${qpn}`;
}

/** What is wrong with a thing, as a node of its own: `error:latency/block:nvme0n1`. */
export function errorId(what: string, of: string): string {
  return `error:${what}/${of}`;
}

/** `pid:4242` → 4242, else undefined. */
export function pidOf(id: string): number | undefined {
  if (!id.startsWith('pid:')) return undefined;
  const pid = Number(id.slice(4));
  return Number.isInteger(pid) ? pid : undefined;
}
