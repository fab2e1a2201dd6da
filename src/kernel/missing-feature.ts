/**
 * From what libbpf and the verifier say to the kernel feature that is missing, in words that tell an
 * operator which kernel has it. Only what the objects here use is known; the rest stays as it was said.
 */

/** Helpers by number, and since when tracing programs may call them: an older kernel prints only the number. */
const HELPERS: ReadonlyMap<number, readonly [name: string, since: string]> = new Map([
  [46, ['bpf_get_socket_cookie', '5.12']],
  [107, ['bpf_sk_storage_get', '5.11']],
  [118, ['bpf_jiffies64', '5.5']],
  [125, ['bpf_ktime_get_boot_ns', '5.8']],
  [131, ['bpf_ringbuf_reserve', '5.8']],
  [148, ['bpf_copy_from_user', '5.10']],
  [156, ['bpf_task_storage_get', '5.13']],
  [158, ['bpf_get_current_task_btf', '5.11']],
  [162, ['bpf_sock_from_file', '5.11']],
  [175, ['bpf_task_pt_regs', '5.15']],
  [181, ['bpf_loop', '5.17']],
  [191, ['bpf_copy_from_user_task', '5.18']],
]);

const MAP_TYPES: ReadonlyMap<number, readonly [name: string, since: string]> = new Map([
  [24, ['socket storage', '5.2']],
  [27, ['ring buffers', '5.8']],
  [29, ['task storage', '5.11']],
]);

const UNKNOWN_HELPER = /(?:unknown func |invalid func |cannot use helper )(\w+)#(\d+)/;
const NO_HOOK = /failed to find kernel BTF type ID of '([^']+)'/;
/** By libbpf, of a field or type that neither the kernel nor any module of it has now: `struct rxe_qp___x.req`. */
const NO_TYPE =
  /failed to resolve CO-RE relocation <\w+> \[\d+\] (?:struct|union|enum) (\w+?)(?:___\w+)?(?:[.:\s]|$)/;
const NO_MAP = /^map '([^']+)': failed to create/m;

/**
 * @param text what was said about one program or object, lines
 * @param mapType type of a map by its name, for a map that could not be made
 * @returns undefined when no feature is known to be missing
 */
export function missingFeature(
  text: string,
  mapType: (map: string) => number | undefined = () => undefined,
): string | undefined {
  // First: the verifier takes what libbpf puts in its place for a call of a helper that nobody knows.
  const type = NO_TYPE.exec(text)?.[1];
  if (type !== undefined) return `no ${type} in this kernel or its modules`;
  const helper = UNKNOWN_HELPER.exec(text);
  if (helper !== null) {
    const [name = helper[1], since] = HELPERS.get(Number(helper[2])) ?? [];
    return `needs the helper ${name}${inTracing(since)}`;
  }
  const hook = NO_HOOK.exec(text)?.[1];
  if (hook !== undefined) return `no ${hook} in this kernel or its modules`;
  const map = NO_MAP.exec(text)?.[1];
  if (map !== undefined) {
    const [what, since] = MAP_TYPES.get(mapType(map) ?? -1) ?? [`map ${map}`];
    return `needs ${what}${since === undefined ? '' : ` (Linux ${since})`}`;
  }
  // Callbacks themselves came earlier (5.13), the helper that calls them later.
  if (/number of funcs in func_info doesn't match number of subprogs/.test(text))
    return 'needs the helper bpf_loop, which calls back (Linux 5.17)';
  // Older verifiers take an exchange for a store with something in a field that stores leave empty.
  if (/BPF_STX uses reserved fields/.test(text)) return 'needs atomic exchange (Linux 5.12)';
  if (/sleepable programs can only/i.test(text)) return 'needs sleepable iterators (Linux 5.18)';
  return undefined;
}

function inTracing(since: string | undefined): string {
  return since === undefined ? '' : ` in tracing programs (Linux ${since})`;
}
