/** What of probe `tcp` works on this kernel, in words. */
import { readFileSync } from 'node:fs';
import type { LoadedObject } from '../kernel/program.js';
import type { Check } from '../util/check.js';
import { programChecks, type Without } from './program-checks.js';

const WITHOUT: Without = {
  state: 'connects, their failures and closes are not seen',
  send: 'senders are not seen: owners are those who connected or held the socket at start',
  retransmit: 'retransmits and timeouts are not seen',
  reset_received: 'resets by the peer are not seen',
  reset_sent: 'resets of our own are not seen',
  accept: 'an accepted connection has no owner before its first send',
  boot: 'sockets older than the agent have no owner before their next send',
  flush: 'closed windows and recoveries are not seen',
};

/** tcp_late.bpf.c: who is blocked in a send is found by a function's address, which some nodes hide from everybody. */
function lateCheck(): Check {
  const name = 'probe tcp/send';
  return addressesHidden()
    ? {
        status: 'degraded',
        name,
        detail:
          'senders are seen when send(2) returns: one that is blocked in it is unknown (kernel.kptr_restrict is 2)',
      }
    : { status: 'ok', name, detail: 'senders are seen when send(2) returns, or when they are blocked in it' };
}

function addressesHidden(): boolean {
  try {
    return readFileSync('/proc/sys/kernel/kptr_restrict', 'latin1').trim() === '2';
  } catch {
    return true;
  }
}

export function tcpChecks(object: LoadedObject | undefined, failure: string | undefined): readonly Check[] {
  // A hook for kernels before 6.5; later ones have nothing that it could miss.
  const programs = object?.programs.filter((program) => program.slot !== 'sendpage');
  const checks = programChecks('tcp', programs && { programs }, failure, WITHOUT);
  return object?.name === 'tcp_late' ? [...checks, lateCheck()] : checks;
}
