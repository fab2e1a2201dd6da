/** Disks: block layer, NVMe, SCSI, ATA, md. See kmsg-rules.ts for what a pattern must keep to. */
import type { HardwareErrorAttrs } from '../events/host.js';
import type { Found, Rule } from './kmsg-rules.js';

type Severity = HardwareErrorAttrs['severity'];

/** Sense keys (SPC-6): 1 is an error that was corrected; 2, 5, 6 and others are states and refusals. */
const SENSE: Readonly<Record<string, Severity>> = {
  'Recovered Error': 'corrected',
  '0x1': 'corrected',
  'Medium Error': 'uncorrected',
  '0x3': 'uncorrected',
  'Hardware Error': 'uncorrected',
  '0x4': 'uncorrected',
  'Aborted Command': 'uncorrected',
  '0xb': 'uncorrected',
};

export const STORAGE_RULES: readonly Rule[] = [
  // block/blk-mq.c, blk_print_req_error(); up to 5.15 block/blk-core.c with the function's name before it. Other
  // words (`operation not supported`, `nonblocking retry`, `kernel resource`) are answers or done again.
  {
    pattern:
      /^(?:blk_update_request: |print_req_error: )?(I\/O|timeout|critical (?:medium|target|nexus|space allocation)|recoverable transport|protection|device offline|reservation conflict|duration limit exceeded) error, dev ([^ ,]{1,64}), sector \d+ op 0x/,
    find: ([, what, name = ''], places) =>
      hardware(places.block(name), classOf(name), what === 'timeout' ? 'warning' : 'uncorrected'),
  },
  // drivers/nvme/host/core.c, nvme_log_error() since 6.0: `nvme0n1: Read(0x2) @ LBA 2048, 8 blocks, …`
  {
    pattern:
      /^(nvme\d{1,5}n\d{1,5}): [A-Za-z0-9 ]{1,40}\(0x[0-9a-f]{1,2}\) @ LBA \d{1,20}, \d{1,10} blocks, /,
    find: ([, name = ''], places) => hardware(places.block(name), 'nvme', 'uncorrected'),
  },
  // drivers/nvme/host/pci.c, nvme_timeout(); drivers/nvme/host/tcp.c and rdma.c say it without a comma.
  {
    device: true,
    pattern: /^nvme (nvme\d{1,5}): (?:I\/O [^\n]{1,160} timeout\b|queue \d{1,5}: timeout request )/,
    find: ([, controller = ''], places) => hardware(places.nvme(controller), 'nvme', 'warning'),
  },
  // drivers/nvme/host/pci.c, nvme_warn_reset(), nvme_reset_work(); core.c, nvme_wait_ready(), nvme_keep_alive_end_io(); tcp.c, rdma.c.
  {
    device: true,
    pattern:
      /^nvme (nvme\d{1,5}): (?:controller is down; will reset|Device not ready; aborting|failed nvme_keep_alive_end_io|starting error recovery)/,
    find: ([, controller = ''], places) => hardware(places.nvme(controller), 'nvme', 'uncorrected'),
  },
  // drivers/nvme/host/pci.c, nvme_reset_work(); `Removing after probe failure` up to 6.1.
  {
    device: true,
    pattern:
      /^nvme (nvme\d{1,5}): (?:Disabling device after reset failure|Removing after probe failure|Removing controller)/,
    find: ([, controller = ''], places) => hardware(places.nvme(controller), 'nvme', 'fatal'),
  },
  // drivers/scsi/scsi_logging.c, scsi_log_print_sense_hdr(). The numbers are of kernels without CONFIG_SCSI_CONSTANTS.
  {
    device: true,
    pattern: /^sd [\d:]{7,40}: \[([^\] ]{1,32})\] (?:tag#\d{1,6} )?Sense Key : ([A-Za-z0-9 ]{1,24}) \[/,
    find: ([, name = '', key = ''], places) => {
      const severity = SENSE[key];
      return severity === undefined ? undefined : hardware(places.block(name), 'scsi', severity);
    },
  },
  // drivers/scsi/sd.c, scsi_lib.c, scsi_error.c: the device is given up.
  {
    device: true,
    pattern:
      /^(?:sd|scsi) [\d:]{7,40}: (?:\[([^\] ]{1,32})\] )?(?:Device offlined - not ready after error recovery|rejecting I\/O to (?:offline|dead) device)/,
    find: ([, name], places, line) =>
      hardware(name === undefined ? places.device(line.device) : places.block(name), 'scsi', 'fatal'),
  },
  // drivers/scsi/scsi_error.c, sd.c: slow beyond all measure.
  {
    device: true,
    pattern:
      /^sd [\d:]{7,40}: (?:\[([^\] ]{1,32})\] )?(?:tag#\d{1,6} )?(?:timing out command|Medium access timeout failure)/,
    find: ([, name], places, line) =>
      hardware(name === undefined ? places.device(line.device) : places.block(name), 'scsi', 'warning'),
  },
  // drivers/ata/libata-eh.c, ata_eh_link_report(). `SATA link down` is any port without a disk.
  {
    pattern:
      /^(ata\d{1,4})(?:\.\d\d)?: (?:exception Emask 0x[0-9a-f]{1,8} SAct 0x|failed command: [A-Z]|error: \{ [A-Z ]{1,40}\}$)/,
    find: ([, port = ''], places) => hardware(places.ata(port), 'ata', 'uncorrected'),
  },
  // drivers/ata/libata-core.c, ata_dev_disable(): `disabled` up to 5.19, `disable device` since.
  {
    pattern: /^(ata\d{1,4})\.\d\d: disable(?:d| device)$/,
    find: ([, port = ''], places) => hardware(places.ata(port), 'ata', 'fatal'),
  },
  // drivers/md/raid1.c, raid5.c, raid10.c; raid0.c and md-linear.c have no colon and lose the whole array.
  {
    pattern:
      /^md\/(?:raid\d{0,2}:|raid0|linear)(md[^: ]{0,32}): Disk failure on ([^ ,]{1,64})(, disabling device| detected, failing array)/,
    find: ([, array = '', member = '', how], places) => {
      const about = places.block(array);
      const severity = how === ', disabling device' ? 'uncorrected' : 'fatal';
      return hardware(places.block(member), 'md', severity, about === undefined ? [] : [about]);
    },
  },
  // drivers/md/raid5.c, raid5_error(); raid10.c: too many are gone.
  {
    pattern: /^md\/raid\d{0,2}:(md[^: ]{0,32}): Cannot continue operation/,
    find: ([, array = ''], places) => hardware(places.block(array), 'md', 'fatal'),
  },
  // drivers/md/raid1.c, fix_read_error(); raid10.c, raid5.c: written anew from another member.
  {
    pattern:
      /^md\/raid\d{0,2}:(md[^: ]{0,32}): read error corrected \(\d{1,20} sectors at \d{1,20} on ([^ )]{1,64})\)/,
    find: ([, array = '', member = ''], places) => {
      const about = places.block(array);
      return hardware(places.block(member), 'md', 'corrected', about === undefined ? [] : [about]);
    },
  },
  // drivers/md/dm-mpath.c, fail_path(): what goes on by other paths. Both are told by number.
  {
    pattern: /^device-mapper: multipath: (\d{1,9}:\d{1,9}): Failing path (\d{1,9}:\d{1,9})\.$/,
    find: ([, above = '', path = ''], places) => {
      const about = places.device(`b${above}`);
      return hardware(places.device(`b${path}`), 'other', 'uncorrected', about === undefined ? [] : [about]);
    },
  },
  // drivers/md/dm-thin.c, notify_of_pool_mode_change(): writes fail from now on, or soon will.
  {
    pattern:
      /^device-mapper: thin: (\d{1,9}:\d{1,9}): switching pool to (?:out-of-data-space|read-only|fail)\b/,
    find: ([, pool = ''], places) => hardware(places.device(`b${pool}`), 'other', 'fatal'),
  },
  // drivers/md/dm-verity-target.c, verity_handle_err(): the number is that of the data device.
  {
    pattern: /^device-mapper: verity: (\d{1,9}:\d{1,9}): (?:data|metadata) block \d{1,20} is corrupted$/,
    find: ([, data = ''], places) => hardware(places.device(`b${data}`), 'other', 'uncorrected'),
  },
];

function classOf(name: string): HardwareErrorAttrs['class'] {
  if (name.startsWith('nvme')) return 'nvme';
  if (/^sd[a-z]/.test(name)) return 'scsi';
  return /^md[\d_]/.test(name) ? 'md' : 'other';
}

function hardware(
  entity: string | undefined,
  kind: HardwareErrorAttrs['class'],
  severity: Severity,
  about: readonly string[] = [],
): Found | undefined {
  return entity === undefined ? undefined : { type: 'error.hw', entity, class: kind, severity, about };
}
