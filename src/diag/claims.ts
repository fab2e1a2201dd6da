/**
 * What a model said, checked before anybody reads it. It saw tokens and evidence ids only, so that any number
 * of a process, address, node or fact that it names and was not given is invented; then nothing of its answer is
 * believed. Single sentences with a command or a link in them are left out: prose is all it was asked for, and
 * what ends up on the screen of a tired person must not be there to be pasted.
 */
import { isRecord } from '../events/guards.js';
import { XctlError } from '../util/errors.js';
import { printable } from '../util/text.js';
import { endpointOf } from './free-text.js';
import type { Claim, ModelAnswer } from './diagnosis.js';
import { INSTRUCTIONS } from './prompt.js';
import { tokensIn } from './tokens.js';
import { isUnit } from './words.js';

/** The answer is not to be shown; `message` says what is wrong with it. */
export class ClaimError extends XctlError {
  override readonly name = 'ClaimError';
}

export interface ClaimContext {
  readonly model: string;
  /** What it was asked with. */
  readonly prompt: string;
  /** Evidence ids that were in the prompt. */
  readonly evidence: ReadonlySet<string>;
  readonly hasToken: (token: string) => boolean;
  /** Tokens back to names. */
  readonly restore: (text: string) => string;
}

const MAX_CLAIMS = 8;
const MAX_CHECKS = 6;
const MAX_SENTENCE = 600;
/** A run of characters of our instructions that nobody writes by chance. */
const LEAK_CHARS = 48;

/** @throws ClaimError */
export function readClaims(text: string, context: ClaimContext): ModelAnswer {
  const value = parseAnswer(text);
  if (!isRecord(value) || !isRecord(value.cause))
    throw new ClaimError('it is not of the form that was asked for');
  const { claims = [], checks = [] } = value;
  if (!Array.isArray(claims) || !Array.isArray(checks)) {
    throw new ClaimError('it is not of the form that was asked for');
  }
  const cause = readClaim(value.cause, context);
  if (looksUnfit(cause.text)) throw new ClaimError('its cause holds a command, a link or code');
  const all = claims.slice(0, MAX_CLAIMS).map((claim: unknown) => readClaim(claim, context));
  const next = checks.slice(0, MAX_CHECKS).map((check: unknown) => sentence(check, context));
  const fitClaims = all.filter((claim) => !looksUnfit(claim.text));
  const fitChecks = next.filter((check) => !looksUnfit(check));
  const show = (claim: Claim): Claim => ({ ...claim, text: context.restore(claim.text) });
  return {
    model: context.model,
    cause: show(cause),
    claims: fitClaims.map(show),
    checks: fitChecks.map(context.restore),
    withheld: all.length - fitClaims.length + (next.length - fitChecks.length),
  };
}

/** JSON alone, in a fence, behind a reasoning model's thoughts, or with a sentence around it. */
function parseAnswer(text: string): unknown {
  const said = text.replace(/^\s*<think>[\s\S]*?<\/think>/, '');
  const from = said.indexOf('{');
  const to = said.lastIndexOf('}');
  if (from === -1 || to < from) throw new ClaimError('it is no JSON');
  try {
    return JSON.parse(said.slice(from, to + 1));
  } catch (error) {
    throw new ClaimError('it is no JSON', { cause: error });
  }
}

function readClaim(value: unknown, context: ClaimContext): Claim {
  if (!isRecord(value)) throw new ClaimError('it is not of the form that was asked for');
  const { evidence = [], node = null } = value;
  if (!Array.isArray(evidence)) throw new ClaimError('it is not of the form that was asked for');
  const ids = [...new Set(evidence.map(String))];
  const unknown = ids.find((id) => !context.evidence.has(id));
  if (unknown !== undefined) throw new ClaimError(`it cites evidence that is not there: ${shown(unknown)}`);
  if (
    node !== null &&
    !(typeof node === 'string' && context.hasToken(node.replace(/^error:[a-z0-9-]+\//, '')))
  ) {
    throw new ClaimError(`it names a node that is not there: ${shown(String(node))}`);
  }
  return { text: sentence(value.text, context), evidence: ids, hypothesis: ids.length === 0 };
}

/** One line of prose with nothing invented in it. */
function sentence(value: unknown, context: ClaimContext): string {
  if (typeof value !== 'string') throw new ClaimError('it is not of the form that was asked for');
  const text = value.replace(/\s+/g, ' ').trim();
  if (text === '' || text.length > MAX_SENTENCE)
    throw new ClaimError('a sentence of it is empty or far too long');
  if (printable(text, MAX_SENTENCE) !== text) throw new ClaimError('it holds control characters');
  if (leaks(text)) throw new ClaimError('it repeats its instructions');
  const invented = inventedIn(text, context);
  if (invented !== undefined) throw new ClaimError(`it names what it was never told of: ${shown(invented)}`);
  return text;
}

const NODE_ID =
  /(?<![\w])(?:pid|flow|peer|pipe|unix|lock|futex|poll|file|dev|net|block|fs|cgroup|gpu|nvswitch|comm|rdma|qp):[^\s,;.)]+/i;
const PROCESS_NUMBER =
  /(?<![\w-])(?:pid|tid|process|thread|task)\s*(?:[:=#(]|id|number|no\.?)?\s*\d+(?![\w%])/i;
const EVIDENCE_WORD = /(?<![\w-])e\d{1,4}(?![\w-])/gi;
/** A number that is nobody's size: long, no commas, no unit behind it. */
const BARE_NUMBER = /(?<![\w.,-])(\d{4,})(?![\w.,-]*\w)(?:\s+([\w%]+))?/g;
/** Where everybody may be sent to look. */
const WELL_KNOWN = /^\/(?:proc|sys|dev|etc|var\/log)(?:\/|$)/;

function inventedIn(text: string, { prompt, evidence, hasToken }: ClaimContext): string | undefined {
  const token = tokensIn(text).find((word) => !hasToken(word));
  if (token !== undefined) return token;
  const id = (text.match(EVIDENCE_WORD) ?? []).find((word) => !evidence.has(word.toLowerCase()));
  if (id !== undefined) return id;
  // Ids of ailments are made of a word and a token, and may be repeated.
  const node = NODE_ID.exec(text.replace(/error:[a-z0-9-]+\/[a-z]+-\d+/gi, ''))?.[0];
  if (node !== undefined) return node;
  const number = PROCESS_NUMBER.exec(text)?.[0];
  if (number !== undefined) return number;
  for (const [, digits = '', unit = ''] of text.matchAll(BARE_NUMBER)) {
    if (!isUnit(unit) && !prompt.includes(digits)) return digits;
  }
  return text.split(/[\s,;()"'`<>]+/).find((word) => {
    const bare = word.replace(/[.:!?]+$/, '');
    if (/\d+\.\d+\.\d+\.\d+/.test(bare)) return true;
    if (bare.length > 2 && endpointOf(bare) !== undefined) return true;
    return /^\/[\w.-]+/.test(bare) && !WELL_KNOWN.test(bare);
  });
}

/** Programs that are no words of prose, with an argument. */
const COMMANDS =
  /(?:^|[\s"'(:])(?:sudo|rm|rmdir|mv|dd|mkfs\S*|fdisk|wipefs|killall|pkill|systemctl|curl|wget|nc|ncat|ssh|scp|rsync|bash|zsh|python3?|perl|chmod|chown|chattr|iptables|nft|ethtool|modprobe|rmmod|insmod|umount|tee|docker|kubectl|crontab|apt|apt-get|yum|dnf|pip|npm|sysctl|nvidia-smi)\s+(?:\/|[a-z]+-\d|\d|\S*[=:]\S|(?:start|stop|restart|reload|delete|drain|exec|run|apply|install|set|add|link|route)\b)/i;
/** Those that are words as well: only with what no sentence has behind them. */
const WORDS_TOO =
  /(?:^|[\s"'(:])(?:kill|mount|cat|echo|exec|eval|source|sh|su|node)\s+(?:\/|\S*=\S)|(?:^|\s)ip\s+(?:link|route|addr|address|netns|rule)\s/i;

/** More than prose: an option, a pipe, a redirection, a substitution, a link, a program with its arguments. */
export function looksUnfit(text: string): boolean {
  return (
    /(?:^|\s)--?\w/.test(text) ||
    // A comparison with a number is prose; a redirection is not.
    /[`|<>{}\\$]|&&|;\s*\w+\s+[-/]/.test(text.replace(/[<>]=?\s?(?=\d)/g, '')) ||
    /[a-z][a-z0-9+.-]*:\/\//i.test(text) ||
    /\bwww\.|\b\w[\w-]*\.(?:com|net|org|io|sh|dev|ru|cn)\b/i.test(text) ||
    COMMANDS.test(text) ||
    WORDS_TOO.test(text)
  );
}

const windows = (text: string): ReadonlySet<string> => {
  const plain = normal(text);
  const found = new Set<string>();
  for (let at = 0; at + LEAK_CHARS <= plain.length; at++) found.add(plain.slice(at, at + LEAK_CHARS));
  return found;
};
let ofInstructions: ReadonlySet<string> | undefined;

function leaks(text: string): boolean {
  ofInstructions ??= windows(INSTRUCTIONS);
  const plain = normal(text);
  for (let at = 0; at + LEAK_CHARS <= plain.length; at++) {
    if (ofInstructions.has(plain.slice(at, at + LEAK_CHARS))) return true;
  }
  return false;
}

function normal(text: string): string {
  return text
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, ' ')
    .trim();
}

function shown(text: string): string {
  return JSON.stringify(printable(text, 60));
}
