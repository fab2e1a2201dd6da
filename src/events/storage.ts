/** What is said of block devices, their requests, filesystems and file servers. */

export type BlockKind = 'disk' | 'partition' | 'dm' | 'md' | 'loop' | 'other';

/** A block device and what it lies on. */
export interface BlockDeviceAttrs {
  /** `259:0` */
  readonly dev: string;
  readonly kind: BlockKind;
  /** Ids of what is underneath: a partition's disk, the members of a dm or md device; a loop device's `fs:`. */
  readonly under: readonly string[];
  readonly model?: string;
  /** The kernel's number for what is in it: another one means that its name was given to another file or medium. */
  readonly diskSeq?: number;
  /** Of an md device: members that have failed or are missing. */
  readonly failedMembers?: number;
  /**
   * Of a device that does a failed request over with another member (md 1, 4, 5, 6, 10; multipath): how many more
   * may fail before its users see it.
   */
  readonly mayLose?: number;
  /** A dm device that holds back all that it is given, until it is resumed. */
  readonly suspended?: true;
  /** It is not there any more. */
  readonly gone?: true;
}

/** Who caused a request, as far as that is proven. */
export interface Submitter {
  readonly pid?: number;
  readonly start?: number;
  readonly comm?: string;
  /** `parent/leaf` of the cgroup that it is charged to. */
  readonly cgroup?: string;
  /** The kernel wrote a cache back: no process submitted it. */
  readonly writeback?: true;
}

export type RequestOp = 'read' | 'write' | 'flush' | 'discard' | 'other';

export interface RequestAttrs {
  readonly op: RequestOp;
  readonly sector: number;
  readonly sizeBytes: number;
  /** Since it was made. */
  readonly ageMs: number;
  /** Of that with the driver; absent when not kept. */
  readonly deviceMs?: number;
  readonly submitter: Submitter;
  /** Like it, not told of since the last one. */
  readonly suppressed?: number;
}

/** Requests that completed since the last event about the device; latencies are absent when there were none. */
export interface IoSummary {
  readonly count: number;
  readonly sizeBytes: number;
  readonly p50Ms?: number;
  readonly p99Ms?: number;
  /** p99 over the last minutes, without the latest; absent until it is known. */
  readonly baselineMs?: number;
  /** The percentiles are of the means of single looks: of dm and md, which make no requests, the kernel has no more. */
  readonly ofMeans?: true;
}

export interface BlockUseAttrs {
  readonly inFlight: number;
  /** In flight, and nothing has completed for so long; 0 when it gets on. */
  readonly stalledMs: number;
  /** Requests the queue can hold; absent for devices without one (dm, md). */
  readonly queueDepth?: number;
  readonly reads: IoSummary;
  readonly writes: IoSummary;
  readonly windowMs: number;
  /** The oldest requests in flight, oldest first, at most 16; empty for devices without a queue. */
  readonly oldest: readonly RequestAttrs[];
}

/** A mounted filesystem. */
export interface MountAttrs {
  /** `8:1`, `0:45` */
  readonly dev: string;
  /** `ext4`, `nfs4`, `overlay` */
  readonly fsType: string;
  readonly mountPoint: string;
  /** Ids of the block devices or, for an overlay, the filesystem that it writes to. */
  readonly under: readonly string[];
  /** Address of the server of a network filesystem. */
  readonly server?: string;
  readonly readOnly: boolean;
  /** Not in the mount namespace of the agent: inode of one where it is. */
  readonly mountNs?: number;
  readonly gone?: true;
}

export interface SpaceAttrs {
  readonly sizeBytes: number;
  /** For users other than root. */
  readonly freeBytes: number;
  readonly inodes: number;
  readonly freeInodes: number;
}

/** How a network filesystem's server answers; totals are of the mount's life. */
export interface RpcAttrs {
  readonly server: string;
  /** Sent and not answered. */
  readonly outstanding: number;
  readonly retransmits: number;
  /** Of the last window: from sending to the answer, and from the call to its end. */
  readonly rttMs?: number;
  readonly execMs?: number;
  readonly operations: number;
}
