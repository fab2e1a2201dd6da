/** CPUs, memory, PCIe, heat. See kmsg-rules.ts for what a pattern must keep to. */
import type { HardwareErrorAttrs } from '../events/host.js';
import { processId } from '../events/ids.js';
import { type Places, pciOf } from './kmsg-places.js';
import type { Found, Rule } from './kmsg-rules.js';

type Severity = HardwareErrorAttrs['severity'];

const GHES: Readonly<Record<string, Severity>> = {
  corrected: 'corrected',
  recoverable: 'uncorrected',
  fatal: 'fatal',
  info: 'warning',
};

export const HARDWARE_RULES: readonly Rule[] = [
  // arch/x86/kernel/cpu/mce/core.c, __print_mce().
  {
    pattern: /^mce: \[Hardware Error\]: CPU (\d{1,5}): Machine Check/,
    find: ([, cpu]) => hardware(`cpu:${Number(cpu)}`, 'mce', 'uncorrected'),
  },
  // arch/x86/kernel/cpu/mce/core.c, mce_notify_irq(): corrected or deferred, /dev/mcelog or rasdaemon knows more.
  {
    pattern: /^mce: \[Hardware Error\]: Machine check events logged/,
    find: () => hardware('node', 'mce', 'warning'),
  },
  // drivers/edac/mce_amd.c, amd_decode_mce().
  {
    pattern: /^\[Hardware Error\]: (Corrected|Uncorrected|Deferred|System Fatal) error/,
    find: ([, what]) =>
      hardware(
        'node',
        'mce',
        what === 'Corrected' ? 'corrected' : what === 'System Fatal' ? 'fatal' : 'uncorrected',
      ),
  },
  // drivers/firmware/efi/cper.c, cper_estatus_print(): errors that the firmware takes first.
  {
    pattern: /^(?:\{\d{1,9}\})?\[Hardware Error\]: event severity: (corrected|recoverable|fatal|info)/,
    find: ([, what = '']) => hardware('node', 'mce', GHES[what] ?? 'warning'),
  },
  // mm/memory-failure.c, kill_proc() and kill_procs(): a page was lost to the hardware, and who used it dies for it.
  {
    pattern:
      /^Memory failure: 0x[0-9a-f]{1,16}: (?:Sending SIGBUS to|[Ff]orcibly killing) .{0,15}:(\d{1,7}) (?:due to hardware memory corruption|because of failure to unmap corrupted page)/s,
    find: ([, pid]) => hardware('node', 'mce', 'uncorrected', [processId(Number(pid))]),
  },
  // arch/x86/mm/fault.c, do_sigbus(): somebody touched such a page later.
  {
    pattern: /^MCE: Killing .{0,15}:(\d{1,7}) due to hardware memory corruption fault at [0-9a-f]{1,16}\s?$/s,
    find: ([, pid]) => hardware('node', 'mce', 'uncorrected', [processId(Number(pid))]),
  },
  // mm/memory-failure.c, action_result().
  {
    pattern: /^Memory failure: 0x[0-9a-f]{1,16}: recovery action for/,
    find: () => hardware('node', 'mce', 'uncorrected'),
  },
  // drivers/edac/edac_mc.c, edac_ce_error() and edac_ue_error().
  {
    pattern:
      /^EDAC MC(\d{1,4}): \d{1,10} (CE|UE) [^[\]:\n]{0,120}on [^\n]{1,300} \([^\n]{0,200} page:0x[0-9a-f]/,
    find: ([, controller, kind]) =>
      hardware(`edac:mc${Number(controller)}`, 'edac', kind === 'CE' ? 'corrected' : 'uncorrected'),
  },
  // drivers/pci/pcie/aer.c, aer_print_error() and pci_print_aer(): words of before and since 6.6. CXL likewise.
  {
    device: true,
    pattern:
      /^[^ ]{1,64} [0-9a-f:.]{7,16}: (?:AER: )?(?:PCIe|CXL) Bus Error: severity=(Correct(?:ed|able)|Uncorrect(?:ed|able) \((?:Non-Fatal|Fatal)\)|[A-Za-z]{1,16})/,
    find: ([, severity = ''], places, { device }) => {
      const pci = pciOf(device);
      if (pci === undefined) return undefined;
      return hardware(
        `pci:${pci}`,
        'aer',
        severity.startsWith('Correct') ? 'corrected' : severity.endsWith('(Fatal)') ? 'fatal' : 'uncorrected',
        places.behind(pci),
      );
    },
  },
  // drivers/pci/pcie/dpc.c, dpc_process_error(): the port cut its device off.
  {
    device: true,
    pattern: /^pcieport [0-9a-f:.]{7,16}: DPC: containment event/,
    find: (_match, places, { device }) => ofPci(places, device, 'aer', 'fatal'),
  },
  // drivers/pci/hotplug/pciehp_ctrl.c: a device fell off the bus.
  {
    device: true,
    pattern: /^pcieport [0-9a-f:.]{7,16}: pciehp: Slot\([^)]{1,32}\): (?:Link Down|Card not present)/,
    find: (_match, places, { device }) => ofPci(places, device, 'other', 'fatal'),
  },
  // drivers/thermal/intel/therm_throt.c; arch/x86/kernel/cpu/mce/therm_throt.c before 5.12.
  {
    pattern: /^(?:mce: )?CPU(\d{1,5}): (?:Core|Package) temperature (?:is )?above threshold/,
    find: ([, cpu]) => hardware(`cpu:${Number(cpu)}`, 'thermal', 'warning'),
  },
  // drivers/thermal/thermal_core.c, handle_critical_trips().
  {
    device: true,
    pattern: /^thermal thermal_zone\d{1,4}: [^\n]{0,64}critical temperature reached/,
    find: () => hardware('node', 'thermal', 'fatal'),
  },
  // drivers/net/ethernet/mellanox/mlx5/core/events.c, temp_warn().
  {
    device: true,
    pattern: /^mlx5_core [0-9a-f:.]{7,16}: [^\n]{0,80}High temperature on sensors/,
    find: (_match, places, { device }) => hardware(places.port(device), 'thermal', 'warning'),
  },
  // drivers/net/ethernet/mellanox/mlx5/core/health.c, poll_health(); cmd.c, wait_func(); events.c, pcie_core().
  {
    device: true,
    pattern:
      /^mlx5_core [0-9a-f:.]{7,16}: [^\n]{0,120}(?:device's health compromised|timeout\. Will cause a leak of a command resource|Detected insufficient power on the PCIe slot)/,
    find: (_match, places, { device }) => hardware(places.port(device), 'other', 'uncorrected'),
  },
  // net/sched/sch_generic.c, dev_watchdog(): up to 6.7 by WARN_ONCE, since by netdev_crit.
  {
    pattern: /^NETDEV WATCHDOG: ([^ ]{1,15}) \([^)]{1,64}\): transmit queue \d{1,5} timed out/,
    find: ([, name = ''], places) => hardware(places.net(name, undefined), 'other', 'uncorrected'),
  },
  {
    device: true,
    pattern:
      /^[^ ]{1,64} [0-9a-f:.]{7,16} ([^ :]{1,15}): NETDEV WATCHDOG: (?:CPU: \d{1,5}: )?transmit queue \d{1,5} timed out/,
    find: ([, name = ''], places, { device }) => hardware(places.net(name, device), 'other', 'uncorrected'),
  },
];

/** About a device and all that is reached through it. */
function ofPci(
  places: Places,
  device: string | undefined,
  kind: 'aer' | 'other',
  severity: Severity,
): Found | undefined {
  const pci = pciOf(device);
  return pci === undefined ? undefined : hardware(`pci:${pci}`, kind, severity, places.behind(pci));
}

function hardware(
  entity: string | undefined,
  kind: HardwareErrorAttrs['class'],
  severity: Severity,
  about: readonly string[] = [],
): Found | undefined {
  return entity === undefined ? undefined : { type: 'error.hw', entity, class: kind, severity, about };
}
