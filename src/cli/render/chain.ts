/** The chain as a tree: from the process asked about down to the cause, each step with its length and proof. */
import type { ChainLink } from '../../scene/answer.js';
import { duration } from '../../scene/words.js';
import { assertNever } from '../../util/errors.js';
import type { Style } from '../terminal.js';
import { paint } from './paint.js';
import { hang } from './width.js';

export interface ChainOptions {
  readonly root: string;
  /** What the root is called: `pid:4242 python3`. */
  readonly rootLabel: string;
  /** Node to mark as the cause. */
  readonly cause: string | null;
}

/** Lines without their ends. */
export function chainTree(
  chain: readonly ChainLink[],
  options: ChainOptions,
  style: Style,
): readonly string[] {
  const byFrom = new Map<string, ChainLink[]>();
  for (const link of chain) byFrom.set(link.from, [...(byFrom.get(link.from) ?? []), link]);
  const shown = new Set<string>();
  const lines = tree(options.root, options.rootLabel, { byFrom, shown, cause: options.cause, style });
  // Links that do not hang from the process asked about are facts too.
  for (const link of chain) {
    if (!shown.has(link.from))
      lines.push(...tree(link.from, link.from, { byFrom, shown, cause: options.cause, style }));
  }
  return lines;
}

interface Walk {
  readonly byFrom: ReadonlyMap<string, readonly ChainLink[]>;
  /** Nodes whose links are printed already: a cycle, or two ways to one node. */
  readonly shown: Set<string>;
  readonly cause: string | null;
  readonly style: Style;
}

function tree(root: string, label: string, walk: Walk): string[] {
  return [`${paint(walk.style, 'bold', label)}${causeMark(root, walk)}`, ...branches(root, '', walk)];
}

function branches(node: string, indent: string, walk: Walk): string[] {
  walk.shown.add(node);
  const links = walk.byFrom.get(node) ?? [];
  return links.flatMap((link, at) => {
    const isLast = at === links.length - 1;
    const { branch, pass } = marks(isLast, walk.style);
    const seen = walk.shown.has(link.to);
    const below = `${indent}${pass}`;
    const again = seen && (walk.byFrom.get(link.to) ?? []).length > 0 ? ', which is above: a cycle' : '';
    return [
      ...hang(`${indent}${branch}`, below, `${stepText(link)}${again}`, walk.style.width).map(
        (line, row, all) => (row === all.length - 1 ? `${line}${causeMark(link.to, walk)}` : line),
      ),
      ...(seen ? [] : branches(link.to, below, walk)),
    ];
  });
}

function stepText(link: ChainLink): string {
  const proof = link.evidence.length === 0 ? '' : ` [${link.evidence.join(' ')}]`;
  const isMain = link.from === `pid:${link.tid}`;
  const thread =
    link.tid === undefined || isMain || link.note?.includes(String(link.tid)) === true
      ? ''
      : `thread ${link.tid} `;
  const says = `${thread}${link.note ?? ''}`.trim();
  return `${verb(link)} ${link.to} for ${duration(link.sinceMs)}${says === '' ? '' : `: ${says}`}${proof}`;
}

function verb(link: ChainLink): string {
  switch (link.edge) {
    case 'WaitsOn':
      return 'waits on';
    case 'BlockedBy':
      return 'blocked by';
    case 'Consumes':
      return 'uses';
    default:
      return assertNever(link.edge);
  }
}

function causeMark(node: string, { cause, style }: Walk): string {
  return node === cause ? paint(style, 'red', style.unicode ? '  ◀ cause' : '  <- cause') : '';
}

function marks(isLast: boolean, { unicode }: Style): { readonly branch: string; readonly pass: string } {
  if (unicode) return { branch: isLast ? '└─ ' : '├─ ', pass: isLast ? '   ' : '│  ' };
  return { branch: isLast ? '`- ' : '|- ', pass: isLast ? '   ' : '|  ' };
}
