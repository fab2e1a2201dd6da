/** Faults of what joins a GPU to others: PCIe, NVLink up to 4 (74), NVLink 5 (144–150), the link to a Grace CPU. */
import type { XidEntry, XidTable } from './entry.js';

/** The line says which unit, how severe and which link: see nvlink5.ts. */
function nvlink5(name: string, part: string): XidEntry {
  return {
    name,
    class: 'hardware',
    role: 'cause',
    means: `NVLink 5: ${part} reported an error.`,
    immediate: 'read-link-unit',
    followUp: 'contact-support',
  };
}

export const LINK = {
  74: {
    name: 'nvlink-error',
    class: 'hardware',
    role: 'cause',
    means:
      'An NVLink to another GPU or to a switch failed; the fault may be here, in the connection or at the other end.',
    immediate: 'read-link-registers',
    followUp: 'contact-support',
  },
  79: {
    name: 'fallen-off-bus',
    class: 'hardware',
    role: 'cause',
    means: 'The GPU does not answer on PCIe any more: it is lost until the node is rebooted.',
    immediate: 'reboot',
    followUp: 'contact-support',
  },
  121: {
    name: 'c2c-corrected',
    class: 'informational',
    role: 'cause',
    means: 'The link between the GPU and its Grace CPU had errors that were corrected.',
    immediate: 'ignore',
    followUp: 'contact-support',
  },
  136: {
    name: 'link-training-failed',
    class: 'hardware',
    role: 'cause',
    means: 'An NVLink could not be brought up.',
    immediate: 'reset-gpu',
    followUp: 'check-signal',
  },
  144: nvlink5('nvlink5-saw', 'the unit that joins the links to the rest of the chip (SAW)'),
  145: nvlink5('nvlink5-rlw', 'the unit that handles answers from remote memory (RLW)'),
  146: nvlink5('nvlink5-tlw', 'the unit that handles the traffic of a link (TLW)'),
  147: nvlink5('nvlink5-trex', 'the traffic exerciser (TREX)'),
  148: nvlink5('nvlink5-nvlpw', 'the control of the link wrapper (NVLPW)'),
  149: nvlink5('nvlink5-netir', 'the network and physical layer of a link (NETIR)'),
  150: nvlink5('nvlink5-mse', 'the microcontroller that manages the links (MSE)'),
  155: {
    name: 'nvlink-taken-down',
    class: 'informational',
    role: 'cause',
    means: 'An NVLink went down because software wanted it to.',
    immediate: 'reset-gpu',
    followUp: 'check-who-did-it',
  },
  159: {
    name: 'c2c-access-failed',
    class: 'hardware',
    role: 'symptom',
    means:
      'An access between the GPU and the CPU over their coherent link failed, as a rule because of another fault.',
    immediate: 'reset-if-uvm',
    followUp: 'report-if-alone',
  },
  166: {
    name: 'nvlink-not-encrypted-yet',
    class: 'driver',
    role: 'cause',
    means: 'In confidential mode traffic came over an NVLink before its encryption was set up.',
    immediate: 'follow-recovery-action',
    followUp: 'contact-support',
  },
  167: {
    name: 'pcie-timeout',
    class: 'hardware',
    role: 'cause',
    means: 'A PCIe request of the GPU was not answered in time, and it cannot go on.',
    immediate: 'follow-recovery-action',
    followUp: 'contact-support',
  },
  170: {
    name: 'nvlink-secure-interrupt',
    class: 'driver',
    role: 'cause',
    means: 'In confidential mode an NVLink raised an interrupt that was not expected.',
    immediate: 'follow-recovery-action',
    followUp: 'contact-support',
  },
} as const satisfies XidTable;
