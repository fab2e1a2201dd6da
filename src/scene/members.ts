/**
 * Arrays whose members failed. That is known and told as evidence wherever an array is part of a chain, and is never a
 * cause by itself: a mirror with one member left answers as it should.
 */
import type { BlockDeviceNode, Fact } from '../graph/model.js';
import { ERROR_MEMORY_MS } from './device.js';
import type { StorageNode } from './disk.js';
import type { Fault } from './finding.js';

/** That a member failed, of an array that is still without it. */
export function lostFact(array: StorageNode): Fact | undefined {
  if (array.type !== 'block-device' || (array.device?.failedMembers ?? 0) === 0) return undefined;
  return array.hardware?.attrs.class === 'md' ? array.hardware.fact : undefined;
}

/** What is wrong below an array and does not reach those above it: another member has answered. */
export function isHidden(array: StorageNode, { node, ails, began }: Fault): boolean {
  if (array.type !== 'block-device' || array.device?.mayLose === undefined) return false;
  if (node.type !== 'block-device' || hasGivenUp(array, began)) return false;
  if (ails === 'gone') return true;
  return ails === 'io-error' && (array.device.mayLose > 0 || node.ioError?.absorbed === true);
}

/** Too many are gone, it says; or its own users were told of errors at the time. */
function hasGivenUp({ hardware, error }: BlockDeviceNode, at: number): boolean {
  if (hardware?.attrs.severity === 'fatal') return true;
  return error !== undefined && at - error.fact.ts < ERROR_MEMORY_MS;
}
