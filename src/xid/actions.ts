/**
 * What to do about an Xid or SXid, in words for a person at 3 a.m. Immediate: what brings the GPU back into
 * service. Follow-up: what finds out why, or keeps it from coming again.
 */

export const IMMEDIATE = {
  ignore: 'Nothing has to be done now.',
  'restart-app': 'Restart the application. The GPU itself is fine.',
  'reset-gpu':
    'Stop what runs on this GPU and reset it: nvidia-smi --gpu-reset. Reboot the node if that is refused.',
  'drain-p2p': 'Let programs that use this GPU together with others finish, and start no more of them on it.',
  'drain-and-reset': 'Let running work on this GPU finish, give it no new work, then reset it.',
  'reset-or-drain':
    'Reset the GPU now if this came alone. With an Xid 63 or 64 next to it: let running work finish, then reset.',
  'reset-all':
    'Stop everything that uses GPUs on this node and reset all GPUs and NVSwitches together: nvidia-smi --gpu-reset.',
  'reset-if-uvm':
    'Reset the GPU if its programs use managed memory or a vGPU. If not, nothing has to be done now.',
  reboot: 'Drain the node and reboot it. Power it off and on if the GPU does not come back.',
  'restart-vm': 'Restart the virtual machine that has this GPU.',
  'check-mechanicals':
    'Check that the board is seated well and that its power and link cables are connected.',
  'update-software': 'Bring driver, guest driver and firmware to versions that fit each other.',
  'follow-other-xid': 'Look for another Xid on the same GPU just before, and do what that one asks for.',
  'follow-recovery-action':
    'Do what the newest Xid 154 of this GPU asks for. If there is none, restart the application.',
  'read-link-registers':
    'Follow any other Xid or SXid of the same moment first. If this is the only one: reset the GPU, or reboot.',
  'read-link-unit':
    'The line names a unit and says fatal or not: reset the GPU if it is fatal, do nothing now if it is not.',
  'contact-support': 'Take the GPU out of service and ask the vendor.',
} as const;

export const FOLLOW_UP = {
  none: 'Nothing further.',
  'contact-support': 'If it comes again, send the output of nvidia-bug-report.sh to the vendor.',
  'check-app':
    'Look for a bug in the application: run it under compute-sanitizer or cuda-gdb. The pid in the line says which one.',
  'check-software':
    'Look for a fault in the software, the application or the driver; report it with nvidia-bug-report.sh.',
  'same-sm-or-not':
    'Again and again at the same GPC and TPC of one GPU: run dcgmi diag, then field diagnostics. Elsewhere: debug the application.',
  'same-gpu-or-not':
    'Again and again on this GPU alone: run dcgmi diag, then field diagnostics. On several GPUs: debug the application.',
  'restart-fabric-manager-if-alone':
    'If no other Xid explains it and nobody stopped the program, restart the fabric manager.',
  'check-ecc-threshold':
    'Look at nvidia-smi -q -d ECC,ROW_REMAPPER. If the SRAM threshold is exceeded or a remap failed, run field diagnostics and replace the GPU.',
  'debug-peer-access':
    'An application reached for memory of another GPU that it may not use: run it under compute-sanitizer or cuda-gdb.',
  'check-signal': 'Look at the error counters of the link (nvidia-smi nvlink -e) and at its connectors.',
  'check-signal-and-cables':
    'Look at the error counters of the link, its cables, transceivers, seating and temperature.',
  'check-peer': 'Look at the other end of the link, its GPU or switch: the fault is there.',
  'check-host': 'Look at other logs of this node and its BMC: the link went down because of something there.',
  'check-who-did-it': 'Find out which software or person took the link down. If that was meant, all is well.',
  'check-who-did-it-and-signal':
    'Find out which software or person took the link down, and look at the error counters of the link.',
  'report-if-repeated': 'Report it if it comes more than once a day.',
  'report-if-alone': 'This comes along with other faults: look after those. Report it if there are none.',
  'check-routing': 'Check the partitions and routes that the fabric manager has set.',
  'check-cooling': 'Check fans, air flow and coolant.',
  'update-software': 'Keep driver and firmware on versions that fit each other.',
  'plan-replacement': 'Plan to replace the GPU if you need what it is losing.',
} as const;

export type Immediate = keyof typeof IMMEDIATE;
export type FollowUp = keyof typeof FOLLOW_UP;

/** What the driver needs to recover: Xid 154, and `nvidia-smi -q` as "GPU Recovery Action". */
export type Recovery = 'none' | 'reset-gpu' | 'reboot' | 'drain-p2p' | 'drain-and-reset' | 'unknown';

/** What the driver asks for goes before what the catalogue says of the code. */
export const RECOVERY_ACTIONS: Readonly<Record<Recovery, Immediate>> = {
  none: 'ignore',
  'reset-gpu': 'reset-gpu',
  reboot: 'reboot',
  'drain-p2p': 'drain-p2p',
  'drain-and-reset': 'drain-and-reset',
  unknown: 'contact-support',
};
