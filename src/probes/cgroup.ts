/**
 * From /proc/PID/cgroup to the names people use: the path, the container, the pod.
 *
 * | runtime | leaf, systemd driver | leaf, cgroupfs driver |
 * |---|---|---|
 * | Docker | `docker-ID.scope` | `/docker/ID` |
 * | containerd (CRI) | `cri-containerd-ID.scope` | `/kubepods/…/podUID/ID`, `…:cri-containerd:ID` |
 * | CRI-O | `crio-ID.scope` | `/kubepods/…/podUID/crio-ID` |
 * | Podman | `libpod-ID.scope[/container]` | `/libpod_parent/libpod-ID` |
 *
 * A pod is `podUID` below a `kubepods…` cgroup; the systemd driver writes its dashes as underscores,
 * and a static pod's UID is 32 digits without any.
 */

export interface Placement {
  /** In the v2 hierarchy; where the process is in none but v1, in the memory (or another) controller's. */
  readonly path: string;
  /** 64 hexadecimal digits. */
  readonly containerId?: string;
  /** With dashes, as Kubernetes writes it. */
  readonly podUid?: string;
}

/** Of the v1 controllers, those that container runtimes always set, best first. */
const V1_ORDER = ['memory', 'cpu', 'pids', 'devices', 'name=systemd'];

/** `conmon` is the runtime's own monitor beside a container, in a cgroup that bears its id. */
const CONTAINER = /(?:^|[/:-])([0-9a-f]{64})(?:\.scope)?(?=\/|$)/g;
const MONITOR = /conmon-[0-9a-f]{64}/;
const POD =
  /kubepods.*?pod([0-9a-f]{8}([-_])[0-9a-f]{4}\2[0-9a-f]{4}\2[0-9a-f]{4}\2[0-9a-f]{12}|[0-9a-f]{32})(?=[./:]|$)/;

/** @param text of /proc/PID/cgroup. @returns undefined when it names no cgroup. */
export function placementOf(text: string): Placement | undefined {
  const path = pathOf(text);
  if (path === undefined) return undefined;
  const containerId = containerOf(path);
  const podUid = POD.exec(path)?.[1]?.replaceAll('_', '-');
  return {
    path,
    ...(containerId !== undefined && { containerId }),
    ...(podUid !== undefined && { podUid }),
  };
}

function pathOf(text: string): string | undefined {
  let v2: string | undefined;
  let v1: string | undefined;
  let v1Rank = Number.POSITIVE_INFINITY;
  for (const line of text.split('\n')) {
    // `4:memory,hugetlb:/path`; the path may hold colons, the rest may not.
    const [, hierarchy, controllers = '', path = ''] = /^(\d+):([^:]*):(.*)$/s.exec(line) ?? [];
    if (hierarchy === undefined) continue;
    if (hierarchy === '0' && controllers === '') {
      v2 = fromRoot(path);
      continue;
    }
    const rank = Math.min(...controllers.split(',').map((c) => rankOf(c)));
    if (rank >= v1Rank && v1 !== undefined) continue;
    v1 = fromRoot(path);
    v1Rank = rank;
  }
  return v2 !== undefined && (v2 !== '/' || v1 === undefined) ? v2 : v1;
}

function rankOf(controller: string): number {
  const rank = V1_ORDER.indexOf(controller);
  return rank === -1 ? V1_ORDER.length : rank;
}

/** An agent in a cgroup namespace sees others as `/../../kubepods/…`. */
function fromRoot(path: string): string {
  return path.replace(/^(?:\/\.\.)+(?=\/|$)/, '') || '/';
}

/** The innermost: a container may run containers. */
function containerOf(path: string): string | undefined {
  if (MONITOR.test(path)) return undefined;
  let found: string | undefined;
  for (const match of path.matchAll(CONTAINER)) found = match[1];
  return found;
}
