/** From the names and sections of an ELF's programs to slots and their rungs. */
import { RUNG_ORDER, type Rung } from './program.js';

/** One program of the ELF. */
export interface Candidate {
  readonly rung: Rung;
  /** Name of the C function. */
  readonly program: string;
  /** `tp_btf/tcp_retransmit_skb`. */
  readonly section: string;
}

export interface Slot {
  readonly name: string;
  /** Best first. */
  readonly candidates: readonly Candidate[];
}

// A section may come with flags (`fentry.s/…`); what is before the slash decides.
const RUNG_OF_SECTION: Readonly<Record<string, Rung>> = {
  tp_btf: 'tp_btf',
  fentry: 'fentry',
  'fentry.s': 'fentry',
  fexit: 'fentry',
  'fexit.s': 'fentry',
  raw_tp: 'raw_tp',
  raw_tracepoint: 'raw_tp',
  tp: 'tp',
  tracepoint: 'tp',
  kprobe: 'kprobe',
  kretprobe: 'kprobe',
  'iter.s': 'iter_s',
  iter: 'iter',
};
const SUFFIX = /^(.+)__(?:tp_btf|fentry|fexit|raw_tp|tp|kprobe|kretprobe|iter_s|iter)$/;

/** The rung a section belongs to; `other` for those outside the ladders (cgroup, syscall, uprobe, …). */
export function rungOf(section: string): Rung {
  return RUNG_OF_SECTION[section.split('/', 1)[0] ?? ''] ?? 'other';
}

/** `tcp_retransmit__tp_btf` → `tcp_retransmit`; a name without a rung is its own slot. */
export function slotOf(program: string): string {
  return SUFFIX.exec(program)?.[1] ?? program;
}

/** Slots in the order of the ELF. */
export function slotsOf(programs: readonly { readonly name: string; readonly section: string }[]): Slot[] {
  const bySlot = new Map<string, Candidate[]>();
  for (const { name, section } of programs) {
    const slot = slotOf(name);
    const candidates = bySlot.get(slot) ?? [];
    candidates.push({ rung: rungOf(section), program: name, section });
    bySlot.set(slot, candidates);
  }
  const rank = (c: Candidate): number => RUNG_ORDER.indexOf(c.rung);
  return [...bySlot].map(([name, candidates]) => ({
    name,
    candidates: candidates.sort((a, b) => rank(a) - rank(b)),
  }));
}
