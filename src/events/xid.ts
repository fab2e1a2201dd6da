/** What the kernel log says of faults of GPUs and NVSwitches: Xid and SXid. What a code means is in src/xid/. */

/** An Xid line, or the other line about a GPU that fell off the bus. */
export type XidToldBy = 'line' | 'lost';

/** NVLink 5 (Xid 144–150): which unit, how severe, which link. */
export interface NvlinkFaultAttrs {
  /** `RLW_REMAP`, `NETIR_LINK_EVT`, … */
  readonly unit: string;
  readonly fatal: boolean;
  /** It may hurt other contexts than the one it happened in. */
  readonly spreads: boolean;
  /** Somebody made it on purpose. */
  readonly injected: boolean;
  readonly link?: number;
  /** The unit's error status. */
  readonly status?: number;
  /** Why the link went down, by the physical layer's number. */
  readonly reason?: number;
}

export interface XidAttrs {
  readonly code: number;
  /** `0000:3b:00.0` */
  readonly pci: string;
  readonly toldBy: XidToldBy;
  /** What the driver says beside the number, cut and cleaned. */
  readonly message: string;
  /** Name of the process, as the driver has it. */
  readonly comm?: string;
  /** MIG: GPU instance, and compute instance in it. */
  readonly gi?: number;
  readonly ci?: number;
  /** Which code the driver itself names as the cause. */
  readonly causedBy?: number;
  /** Xid 154: what the driver needs to recover. */
  readonly recovery?: 'none' | 'reset-gpu' | 'reboot' | 'drain-p2p' | 'drain-and-reset' | 'unknown';
  /** Xid 13: the SM that it happened in. */
  readonly sm?: { readonly gpc: number; readonly tpc: number; readonly sm?: number };
  readonly nvlink?: NvlinkFaultAttrs;
  readonly suppressed?: number;
}

export interface SxidAttrs {
  readonly code: number;
  /** `0000:c1:00.0` */
  readonly pci: string;
  readonly severity: 'correctable' | 'non-fatal' | 'fatal' | 'unknown';
  readonly link?: number;
  readonly message: string;
  readonly suppressed?: number;
}
