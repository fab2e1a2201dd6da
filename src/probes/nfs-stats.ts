/** /proc/PID/mountstats (fs/nfs/super.c, net/sunrpc/stats.c): counters of each NFS mount. Asks no server. */
import { unescapeOctal } from './mountinfo.js';

/** Counters of all connections of a mount, and of all its operations, since it was mounted. */
export interface NfsCounters {
  readonly mountPoint: string;
  /** Connections that were made, over all transports. */
  readonly connects: number;
  readonly sends: number;
  readonly receives: number;
  /** Calls that ended, well or not. */
  readonly operations: number;
  /** Times that these were sent; more than the operations by the retransmissions. */
  readonly transmissions: number;
  readonly rttMs: number;
  readonly execMs: number;
}

const HEAD = /^device .{0,4096} mounted on (\S{1,4096}) with fstype nfs4? statvers=/;
const MAX_LINES = 200_000;

/** The NFS mounts in the text; what is cut or unknown counts nothing. */
export function parseMountstats(text: string): readonly NfsCounters[] {
  const found: Counting[] = [];
  let at: Counting | undefined;
  for (const line of text.split('\n', MAX_LINES)) {
    if (line.startsWith('device ')) {
      const mountPoint = HEAD.exec(line)?.[1];
      at = mountPoint === undefined ? undefined : fresh(unescapeOctal(mountPoint));
      if (at !== undefined) found.push(at);
    } else if (at !== undefined && line.startsWith('\txprt:')) {
      addTransport(at, line.slice('\txprt:'.length).trim().split(/\s+/));
    } else if (at !== undefined && /^\t +[A-Z0-9_]+: /.test(line)) {
      addOperation(
        at,
        line
          .slice(line.indexOf(':') + 1)
          .trim()
          .split(' '),
      );
    }
  }
  return found;
}

type Counting = { -readonly [K in keyof NfsCounters]: NfsCounters[K] };

function fresh(mountPoint: string): Counting {
  const counts = { connects: 0, sends: 0, receives: 0, operations: 0, transmissions: 0 };
  return { mountPoint, ...counts, rttMs: 0, execMs: 0 };
}

/** `tcp PORT BINDS CONNECTS CONNECT-TIME IDLE SENDS RECEIVES BAD-XIDS …`; `local` has no port, `udp` no connection. */
function addTransport(to: Counting, [kind, ...fields]: readonly string[]): void {
  const numbers = fields.map(Number);
  if (kind === 'local') numbers.unshift(0);
  if (kind === 'udp') numbers.splice(2, 0, 0, 0, 0);
  const [, , connects, , , sends, receives] = numbers;
  if (receives === undefined || numbers.slice(0, 7).some((one) => !Number.isFinite(one))) return;
  to.connects += connects ?? 0;
  to.sends += sends ?? 0;
  to.receives += receives;
}

/** `OPS TRANSMISSIONS TIMEOUTS SENT RECEIVED QUEUE-MS RTT-MS EXEC-MS [ERRORS]` */
function addOperation(to: Counting, fields: readonly string[]): void {
  const numbers = fields.map(Number);
  const [operations, transmissions, , , , , rttMs, execMs] = numbers;
  if (execMs === undefined || numbers.some((one) => !Number.isFinite(one))) return;
  to.operations += operations ?? 0;
  to.transmissions += transmissions ?? 0;
  to.rttMs += rttMs ?? 0;
  to.execMs += execMs;
}
