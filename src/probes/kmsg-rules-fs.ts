/** Filesystems and file servers. See kmsg-rules.ts for what a pattern must keep to. */
import type { FilesystemErrorAttrs } from '../events/host.js';
import type { Places } from './kmsg-places.js';
import type { Found, Rule } from './kmsg-rules.js';

type Class = FilesystemErrorAttrs['class'];

export const FILESYSTEM_RULES: readonly Rule[] = [
  // fs/ext4/super.c, ext4_handle_error(). Since 6.12 the mount table goes on saying `rw`: this line is all there is.
  {
    pattern: /^EXT4-fs \(([^)]{1,64})\): Remounting filesystem read-only/,
    find: ([, name], places) => filesystem(places, name, 'ext4', 'read-only'),
  },
  // fs/ext4/ioctl.c, ext4_force_shutdown().
  {
    pattern: /^EXT4-fs \(([^)]{1,64})\): shut down requested/,
    find: ([, name], places) => filesystem(places, name, 'ext4', 'shutdown'),
  },
  // fs/ext4/super.c, save_error_info and ext4_commit_super(); inode.c, mpage_map_and_submit_extent().
  {
    pattern:
      /^EXT4-fs \(([^)]{1,64})\): (?:I\/O error while writing superblock|previous I\/O error to superblock detected|Delayed block allocation failed|This should not happen!! Data will be lost)/,
    find: ([, name], places) => filesystem(places, name, 'ext4', 'io-error'),
  },
  // fs/ext4/super.c, __ext4_error(), __ext4_error_inode(), __ext4_std_error().
  {
    pattern: /^EXT4-fs error \(device ([^)]{1,64})\)(?:: | in )/,
    find: ([, name], places) => filesystem(places, name, 'ext4', 'error'),
  },
  // fs/ext4/page-io.c, ext4_end_bio(). Other warnings are hints.
  {
    pattern: /^EXT4-fs warning \(device ([^)]{1,64})\): ext4_end_bio:\d+: I\/O error/,
    find: ([, name], places) => filesystem(places, name, 'ext4', 'io-error', 'write'),
  },
  // fs/jbd2/journal.c, jbd2_journal_abort(); the name is `sda1-8`: device and inode of the journal.
  {
    pattern: /^Aborting journal on device ([^ ]{1,64}?)(?:-\d+)?\.$/,
    find: ([, name], places) => filesystem(places, name, '', 'error'),
  },
  // fs/jbd2/commit.c, checkpoint.c.
  {
    pattern:
      /^JBD2: (?:Detected IO errors while flushing file data on|I\/O error when updating journal superblock for) ([^ ]{1,64}?)(?:-\d+)?\.?$/,
    find: ([, name], places) => filesystem(places, name, '', 'io-error', 'write'),
  },
  // fs/xfs/xfs_fsops.c, xfs_do_force_shutdown().
  {
    pattern:
      /^XFS \(([^)]{1,64})\): (?:Corruption of (?:in-memory data|on-disk metadata)|[Ll]og I\/O [Ee]rror|I\/O Error Detected|All device paths lost|User initiated shutdown received|Metadata I\/O Error \(0x[0-9a-f]+\) detected|xfs_do_force_shutdown)/,
    find: ([, name], places) => filesystem(places, name, 'xfs', 'shutdown'),
  },
  // fs/xfs/xfs_buf.c, xfs_buf_ioerror_alert(); xfs_aops.c, xfs_ioend.
  {
    pattern:
      /^XFS \(([^)]{1,64})\): (?:metadata I\/O error in "|writeback error on |Failing async write on buffer)/,
    find: ([, name], places) => filesystem(places, name, 'xfs', 'io-error'),
  },
  // fs/iomap/buffered-io.c, iomap_finish_ioend() since 5.5: XFS and others that lost what a program had written.
  {
    pattern: /^([A-Za-z][^ :]{1,63}): writeback error on inode \d{1,20}, offset -?\d{1,20}, sector \d{1,20}$/,
    find: ([, name], places) => filesystem(places, name, '', 'io-error', 'write'),
  },
  // fs/xfs/xfs_error.c, xfs_error_report(), xfs_buf_corruption_error(), xfs_inode_verifier_error().
  {
    pattern:
      /^XFS \(([^)]{1,64})\): (?:Metadata corruption detected|Metadata CRC error detected|Internal error )/,
    find: ([, name], places) => filesystem(places, name, 'xfs', 'error'),
  },
  // fs/btrfs/messages.c, __btrfs_handle_fs_error() → btrfs_set_fs_state: info line `forced readonly`.
  {
    pattern: /^BTRFS info \(device ([^ ):]{1,64})(?::? state [A-Z]{1,16})?\): forced readonly/,
    find: ([, name], places) => filesystem(places, name, 'btrfs', 'read-only'),
  },
  // fs/btrfs/volumes.c, btrfs_dev_stat_inc_and_print().
  {
    pattern: /^BTRFS error \(device ([^ ):]{1,64})(?::? state [A-Z]{1,16})?\): bdev [^ ]{1,128} errs: /,
    find: ([, name], places) => filesystem(places, name, 'btrfs', 'io-error'),
  },
  // fs/btrfs/messages.c, btrfs_crit() and btrfs_err(); `BTRFS: error (device …) in …: errno=` up to 6.x.
  {
    pattern:
      /^BTRFS(?: critical|: error| error) \(device ([^ ):]{1,64})(?::? state [A-Z]{1,16})?\)(?:: | in )/,
    find: ([, name], places) => filesystem(places, name, 'btrfs', 'error'),
  },
  // fs/buffer.c, buffer_io_error(); the device may be a disk without a filesystem.
  {
    pattern:
      /^Buffer I\/O error on dev ([^ ,]{1,64}), logical block \d{1,20}(?:, (?:lost )?(?:async|sync) page (read|write))?/,
    find: ([, name, op], places) =>
      filesystem(places, name, '', 'io-error', op === 'read' || op === 'write' ? op : undefined),
  },
  // drivers/md/raid1.c, raid1_read_request(); raid10.c: no member is left that has it, and the reader gets an error.
  {
    pattern:
      /^md\/raid10?:(md[^: ]{0,32}): (?:[^: ]{1,64}: )?unrecoverable I\/O (?:read )?error for block \d/,
    find: ([, name], places) => filesystem(places, name, '', 'io-error', 'read'),
  },
  // net/sunrpc/clnt.c, rpc_check_timeout() and call_decode(); fs/lockd/clntproc.c says the same.
  {
    pattern:
      /^([a-z][a-z0-9_]{0,15}): server ([^ ]{1,253}) (not responding, still trying|not responding, timed out|OK)$/,
    find: ([, , server = '', said], places) => ({
      type: 'storage.server',
      entity: places.server(server),
      server,
      responding: said === 'OK',
    }),
  },
];

function filesystem(
  places: Places,
  name: string | undefined,
  fsType: string,
  kind: Class,
  op?: FilesystemErrorAttrs['op'],
): Found | undefined {
  const mounted = name === undefined ? undefined : places.filesystem(name);
  if (mounted === undefined) return undefined;
  const { entity } = mounted;
  return {
    type: 'error.fs',
    entity,
    class: kind,
    fsType: fsType || mounted.fsType,
    ...(op !== undefined && { op }),
  };
}
