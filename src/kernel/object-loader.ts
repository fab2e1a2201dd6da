/**
 * Climbs the ladder of one object: load, attach, and where the kernel refuses a program, give its
 * slot the next rung and start over. Starting over is the only way, since libbpf loads an object as
 * a whole; at most one round a rung, at start-up.
 */
import { bpfError, type Libbpf, type LinkHandle } from '../ffi/libbpf.js';
import { type PrintedLine, withPrint } from '../ffi/libbpf-print.js';
import { errnoName } from '../ffi/native.js';
import { NativeError } from '../util/errors.js';
import type { Log } from '../util/log.js';
import type { Hooks } from './hooks.js';
import { type Choice, Ladder, type Refusal } from './ladder.js';
import { missingFeature } from './missing-feature.js';
import { OpenObject, type SharedMaps } from './object.js';
import { slotsOf } from './slots.js';

export interface LoaderContext {
  readonly bpf: Libbpf;
  readonly log: Log;
  readonly hooks: Hooks;
  readonly shared: SharedMaps;
  readonly btfPath: string | undefined;
  readonly signal: AbortSignal | undefined;
}

export interface Loaded {
  readonly object: OpenObject;
  readonly ladder: Ladder;
  /** Slots in use. */
  readonly attached: ReadonlySet<string>;
  /** Links of the slots that have one. */
  readonly links: ReadonlyMap<string, LinkHandle>;
  /** Its uprobes are of the kind that one link holds many of. */
  readonly uprobeMulti: boolean;
}

interface Refused {
  readonly choice: Choice;
  readonly refusal: Refusal;
  readonly lines: readonly PrintedLine[];
}

const POLICY_ERRNOS: ReadonlySet<string> = new Set(['EPERM', 'EOPNOTSUPP', 'ENOTSUPP']);
const VERIFIER_LOG_CHARS = 4000;

/** @throws ObjectError, or NativeError when the object cannot be loaded even without any program. */
export async function loadObject(context: LoaderContext, path: string): Promise<Loaded> {
  const loader = new ObjectLoader(context, path);
  const ladder = loader.plan();
  ladder.prune((candidate) => context.hooks.refusal(candidate));
  for (;;) {
    // A round blocks for as long as the verifier takes; between rounds the process can be stopped.
    await new Promise((resolve) => setImmediate(resolve));
    context.signal?.throwIfAborted();
    const loaded = loader.round(ladder);
    if (loaded !== undefined) return loaded;
    ladder.prune((candidate) => context.hooks.refusal(candidate));
  }
}

class ObjectLoader {
  readonly #context: LoaderContext;
  readonly #path: string;
  readonly #log: Log;

  constructor(context: LoaderContext, path: string) {
    this.#context = context;
    this.#path = path;
    this.#log = context.log.child({ component: 'libbpf' });
  }

  plan(): Ladder {
    const { bpf } = this.#context;
    const object = this.#open();
    try {
      return new Ladder(
        slotsOf([...object.programs].map(([name, p]) => ({ name, section: bpf.sectionName(p) }))),
      );
    } finally {
      object.close();
    }
  }

  /** @returns undefined when a slot had to climb down. */
  round(ladder: Ladder): Loaded | undefined {
    const choices = ladder.choices();
    const object = this.#open();
    const { code } = this.#load(object, choices);
    if (code !== 0) {
      object.close();
      this.#refuseUnloadable(ladder, choices, code);
      return undefined;
    }
    const { links, attached, refused } = this.#attach(object, choices);
    const uprobeMulti = this.#context.hooks.hasUprobeMulti();
    if (refused.length === 0) return { object, ladder, attached, links, uprobeMulti };
    object.close();
    for (const { choice, refusal, lines } of refused) this.#refuse(ladder, choice, refusal, lines);
    return undefined;
  }

  /** Finds out whose fault a failed load is, by loading each program alone. */
  #refuseUnloadable(ladder: Ladder, choices: readonly Choice[], code: number): void {
    const bare = this.#loadAlone([]);
    if (bare.code !== 0) this.#giveUp(bare.code, bare.lines);
    let found = false;
    for (const choice of choices) {
      const known = this.#context.hooks.refusal(choice.candidate);
      const alone = known === undefined ? this.#loadAlone([choice]) : undefined;
      if (alone?.code === 0) continue;
      found = true;
      const lines = alone?.lines ?? [];
      this.#refuse(
        ladder,
        choice,
        known ?? this.#judge(choice, 'load', errnoName(alone?.code ?? 0), lines),
        lines,
      );
    }
    // Each loads alone and all together do not: nobody is to blame (memory, most likely).
    if (!found) this.#giveUp(code, []);
  }

  #giveUp(code: number, lines: readonly PrintedLine[]): never {
    for (const line of lines) this.#log.warn(line.text, { object: this.#path });
    const text = lines.map((line) => line.text).join('\n');
    const why =
      missingFeature(text, (map) => this.#mapType(map)) ?? lines.findLast((l) => l.level === 'warn')?.text;
    throw bpfError(`bpf_object__load ${this.#path}`, code, why);
  }

  #mapType(name: string): number | undefined {
    const object = this.#open();
    try {
      const map = object.maps.get(name);
      return map === undefined ? undefined : this.#context.bpf.mapInfo(map).type;
    } finally {
      object.close();
    }
  }

  #loadAlone(choices: readonly Choice[]): { code: number; lines: readonly PrintedLine[] } {
    const object = this.#open();
    try {
      return this.#load(object, choices);
    } finally {
      object.close();
    }
  }

  #load(object: OpenObject, choices: readonly Choice[]): { code: number; lines: readonly PrintedLine[] } {
    const lines: PrintedLine[] = [];
    const programs = new Set(choices.map((c) => c.candidate.program));
    const code = this.#heard(lines, () => object.load(programs));
    return { code, lines };
  }

  #attach(
    object: OpenObject,
    choices: readonly Choice[],
  ): { links: Map<string, LinkHandle>; attached: Set<string>; refused: Refused[] } {
    const { bpf } = this.#context;
    const links = new Map<string, LinkHandle>();
    const attached = new Set<string>();
    const refused: Refused[] = [];
    for (const choice of choices) {
      const { slot, candidate } = choice;
      const program = object.programs.get(candidate.program);
      if (program === undefined) continue;
      const { rung } = candidate;
      const isIterator = rung === 'iter' || rung === 'iter_s';
      const lines: PrintedLine[] = [];
      try {
        const link = this.#heard(lines, () =>
          isIterator ? bpf.attachIterator(program) : bpf.attach(program),
        );
        links.set(slot, object.hold(link));
        attached.add(slot);
      } catch (error) {
        if (!(error instanceof NativeError)) throw error;
        // Programs that are run by hand (syscall, socket filter) have nothing to attach to.
        if (rung === 'other' && error.errno === 'EOPNOTSUPP') continue;
        refused.push({ choice, refusal: this.#judge(choice, 'attach', error.errno, lines), lines });
      }
    }
    return { links, attached, refused };
  }

  #open(): OpenObject {
    const { bpf, hooks, shared, btfPath } = this.#context;
    const lines: PrintedLine[] = [];
    return this.#heard(lines, () => {
      const object = OpenObject.open(bpf, this.#path, shared, btfPath);
      if (hooks.hasUprobeMulti()) object.useUprobeMulti();
      return object;
    });
  }

  /** Everything libbpf says during `body`: to the log, and to `lines` for the one who judges. */
  #heard<T>(lines: PrintedLine[], body: () => T): T {
    return withPrint(
      this.#context.bpf,
      (line) => {
        lines.push(line);
        this.#log.debug(line.text, { libbpfLevel: line.level, object: this.#path });
      },
      body,
    );
  }

  /** One rung down; what libbpf said about it is a warning once no rung is left. */
  #refuse(ladder: Ladder, choice: Choice, refusal: Refusal, lines: readonly PrintedLine[]): void {
    if (ladder.refuse(choice.slot, refusal)) return;
    const said = lines.filter((l) => l.level === 'warn').map((l) => l.text);
    const text = said.length === 0 ? refusal.reason : said.join('\n');
    this.#log.warn(text.length > VERIFIER_LOG_CHARS ? `…${text.slice(-VERIFIER_LOG_CHARS)}` : text, {
      object: this.#path,
      program: choice.candidate.program,
    });
  }

  /** Why `choice` was refused, and whether its whole rung is. */
  #judge(choice: Choice, stage: 'load' | 'attach', errno: string, lines: readonly PrintedLine[]): Refusal {
    const { rung } = choice.candidate;
    if (POLICY_ERRNOS.has(errno) && (rung === 'fentry' || rung === 'kprobe')) {
      const reason = `${errno} at ${stage}: not allowed here`;
      this.#context.hooks.deny(rung, { stage, errno, reason });
      return { stage, errno, reason };
    }
    const text = lines.map((line) => line.text).join('\n');
    const why =
      missingFeature(text) ?? verifierReason(text) ?? (errno === 'EPERM' ? 'needs CAP_PERFMON' : undefined);
    return { stage, errno, reason: `${errno} at ${stage}${why === undefined ? '' : `: ${why}`}` };
  }
}

/** The line of the verifier's log that says what it did not like: the last before its statistics. */
function verifierReason(text: string): string | undefined {
  const log = /-- BEGIN PROG LOAD LOG --\n([\s\S]*?)-- END PROG LOAD LOG --/.exec(text)?.[1];
  if (log === undefined) return undefined;
  const said = log
    .split('\n')
    .filter((line) => line.trim() !== '' && !/^(processed \d+ insns|verification time)/.test(line));
  return said.at(-1)?.trim();
}
