/** Kinds of filesystems: which have a server, which may be asked for their space, which are no storage at all. */
import { isIP } from 'node:net';
import { type MountLine, optionOf } from './mountinfo.js';

/** Interfaces of the kernel in the shape of files: they hold no data. */
const PSEUDO = new Set([
  ...['proc', 'sysfs', 'cgroup', 'cgroup2', 'devpts', 'devtmpfs', 'securityfs', 'debugfs', 'tracefs'],
  ...['pstore', 'bpf', 'mqueue', 'hugetlbfs', 'configfs', 'fusectl', 'autofs', 'binfmt_misc', 'efivarfs'],
  ...['nsfs', 'selinuxfs', 'rpc_pipefs', 'nfsd', 'fuse.lxcfs', 'fuse.portal', 'fuse.gvfsd-fuse'],
]);

const NETWORK = new Set([
  ...['nfs', 'nfs4', 'cifs', 'smb3', 'smbfs', 'ceph', 'lustre', '9p', 'afs', 'beegfs', 'gpfs', 'mmfs'],
  ...['glusterfs', 'pvfs2', 'orangefs', 'ocfs2', 'gfs2', 'virtiofs', 'davfs', 'wekafs', 'panfs', 'coda'],
]);

/** Local without a block device's number of their own. */
const LOCAL = new Set(['tmpfs', 'ramfs', 'btrfs', 'zfs', 'bcachefs']);

export function isPseudo(fsType: string): boolean {
  return PSEUDO.has(fsType);
}

/** Somebody else has to answer for it to go on: a server, or (fuse) a process. */
export function isRemote(fsType: string): boolean {
  return NETWORK.has(fsType) || fsType === 'fuse' || fsType === 'fuseblk' || fsType.startsWith('fuse.');
}

export function isNfs(fsType: string): boolean {
  return fsType === 'nfs' || fsType === 'nfs4';
}

/** What may be asked for its space: only what a local disk or memory answers. */
export function isLocal(line: Pick<MountLine, 'fsType' | 'dev'>): boolean {
  if (isRemote(line.fsType) || isPseudo(line.fsType)) return false;
  return line.dev >= 0x10_0000 || LOCAL.has(line.fsType);
}

/** Server of a network filesystem, by address where the kernel says it. */
export function serverOf(line: MountLine): string | undefined {
  if (!isRemote(line.fsType)) return undefined;
  const address = optionOf(line.superOptions, 'addr');
  if (address !== undefined && isIP(address.split('%', 1)[0] ?? '') !== 0) return address;
  return hostOf(line.source);
}

/** `host:/path`, `user@host:/path`, `[fd00::1]:/path`, `//host/share`, `10.0.0.1@tcp:/fs`, `10.0.0.1:6789,…:/`. */
export function hostOf(source: string): string | undefined {
  if (source.startsWith('//')) return nonEmpty(source.slice(2).split('/', 1)[0]);
  const at = source.indexOf(':/');
  if (at < 1) return undefined;
  const [first = ''] = source.slice(0, at).split(',');
  const host = first.replace(/@(?:tcp|o2ib)\d*$/, '').replace(/^[^@]*@/, '');
  const bracketed = /^\[([0-9a-fA-F:.%a-z]+)\](?::\d+)?$/.exec(host)?.[1];
  if (bracketed !== undefined) return bracketed;
  // A v6 address without brackets has several colons, a port has one before it.
  const parts = host.split(':');
  return nonEmpty(parts.length === 2 ? parts[0] : host);
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === undefined || text === '' ? undefined : text;
}
