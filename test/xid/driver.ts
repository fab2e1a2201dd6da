/** Lines as the driver prints them, of both forms: up to 2022 with a process always, since with a known one. */
export interface Printed {
  readonly pci?: string;
  readonly code: number;
  readonly message?: string;
  readonly pid?: number;
  readonly comm?: string;
  readonly gi?: number;
  readonly ci?: number;
  readonly causedBy?: number;
  /** `pid='<unknown>', name=<unknown>` where no process is known. */
  readonly old?: boolean;
}

export function printed(line: Printed): string {
  const { pci = 'PCI:0000:3b:00', code, message = '', pid, comm = 'python3', gi, ci, causedBy, old } = line;
  const instance = gi === undefined ? '' : ` GPU-I:${two(gi)}${ci === undefined ? '' : ` GPU-CI:${two(ci)}`}`;
  const unknown = old === true ? "pid='<unknown>', name=<unknown>, " : '';
  const process = pid === undefined ? unknown : `pid=${pid}, name=${comm}, `;
  const cause = causedBy === undefined ? '' : ` caused by previous Xid ${causedBy}`;
  return `NVRM: Xid (${pci}${instance}): ${code}, ${process}${message}${cause}`;
}

function two(value: number): string {
  return String(value).padStart(2, '0');
}

/** What the driver says with a code; for the others their number is all that matters. */
const SAYS: Readonly<Record<number, string>> = {
  8: 'Ch 00000010',
  13: 'Graphics SM Warp Exception on (GPC 1, TPC 3, SM 0): Out Of Range Address',
  14: 'Channel 00000001',
  31: 'Ch 00000008, intr 00000000. MMU Fault: ENGINE GRAPHICS GPCCLIENT_T1_8 faulted @ 0x73ac_1c000000. Fault is of type FAULT_PDE ACCESS_TYPE_VIRT_WRITE',
  32: 'Channel ID 0000000d intr0 00040000',
  43: 'Ch 00000008',
  45: 'Ch 00000010',
  48: 'An uncorrectable double bit error (DBE) has been detected on GPU in the framebuffer at partition 6, subpartition 1.',
  62: '2356(33c8) 8501e6c0 00000000',
  63: 'Row Remapper: New row (0x0000000003f2a400) marked for remapping, reset gpu to activate.',
  64: 'Row Remapper: Error in row remapping (0x1)',
  69: 'Class Error: ChId 0008, Class 0000cbc0, Offset 00000184, Data ffffffff, ErrorCode 00000004',
  74: 'NVLink: fatal error detected on link 14(0x0, 0x0, 0x10000, 0x0, 0x0, 0x0, 0x0)',
  79: 'GPU has fallen off the bus.',
  92: 'Excessive SBE interrupts',
  94: 'Contained: SM (0x1). RST: No, D-RST: No',
  95: 'Uncontained: FBHUB. RST: Yes, D-RST: No',
  109: 'Ch 00000010, errorString CTX SWITCH TIMEOUT, Info 0x5c002',
  119: 'Timeout after 6s of waiting for RPC response from GPU0 GSP! Expected function 76 (GSP_RM_CONTROL) (0x20802a02 0x4).',
  120: 'GSP task exception: Load access page fault (cause:0xd) @ pc:0x5f5b8ae, partition:4#0, task:2',
  121: 'NVLink: C2C Link corrected error detected',
  136: 'NVLink: Link training failed for link 3(0x0, 0x0, 0x0, 0x0, 0x0, 0x0, 0x0)',
  140: 'An uncorrectable ECC error detected (possible GPU reset required)',
  144: 'SAW_MVB Fatal XC0 i0 Link 00 (0x00000001 0x00000002 0x00000000 0x00000000)',
  145: 'RLW_SRC_TRACK Nonfatal XC1 i0 Link 12 (0x040988e2 0x00000008 0x00000000 0x00000000 0x00000000 0x00000000)',
  146: 'TLW_CTRL Nonfatal XC0 i0 Link 00 (0x00000009 0x00000001 0x00000000 0x00000000)',
  147: 'TREX Nonfatal XC0 i0 Link 00 (0x0000000e 0x00000001 0x00000000 0x00000000)',
  148: 'NVLPW_CTRL Nonfatal XC0 i0 Link 05 (0x0000000f 0x80000000 0x00000000 0x00000000)',
  149: 'NETIR_LINK_EVT  Fatal   XC0 i0 Link 08 (0x004505c6 0x00000000 0x00000000 0x00000000 0x00000000 0x00000000)',
  150: 'MSE_WATCHDOG Fatal XC0 i0 Link -1 (0x00000000 0x00000000 0x00000000 0x00000000)',
  154: 'GPU recovery action changed from 0x0 (None) to 0x1 (GPU Reset Required)',
  160: 'Marking Channel 3 in FBPA 2 for repair; Node Reboot Required',
  172: 'GSP-RISCV, Uncorrectable SRAM Error in location 3',
};

export function says(code: number): string {
  return SAYS[code] ?? `Engine ${code}: Ch 00000010, Info 0x5c002`;
}
