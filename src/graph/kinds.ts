/** What every event and every node has, whatever it is of. */
import type { Event } from '../events/event.js';
import type { Fact, GraphNode, ResourceNode } from './model.js';

/** Nothing can be added to it any more, and nobody waits on it. */
export function isOver(node: GraphNode): boolean {
  switch (node.type) {
    case 'process':
      return node.exit !== undefined;
    case 'flow':
      return !node.in.some((edge) => edge.kind === 'WaitsOn');
    case 'block-device':
    case 'filesystem':
      return node.goneTs !== undefined && node.in.length === 0;
    case 'gpu':
      return (node.device === undefined || node.device.attrs.gone === true) && node.in.length === 0;
    case 'rdma-port':
      return (node.port === undefined || node.port.attrs.state === 'GONE') && node.in.length === 0;
    case 'qp':
      // The kernel's own have no process that could tell that they are still there.
      return node.life.gone !== undefined || (node.life.owner !== undefined && node.in.length === 0);
    default:
      return node.in.length === 0;
  }
}

export function isResource(node: GraphNode): node is ResourceNode {
  switch (node.type) {
    case 'process':
    case 'flow':
    case 'peer':
    case 'block-device':
    case 'filesystem':
    case 'cgroup':
    case 'communicator':
    case 'gpu':
    case 'rdma-port':
    case 'qp':
      return false;
    default:
      return true;
  }
}

/** The part of an event that an edge keeps. */
export function factOf(event: Event): Fact {
  return {
    ts: event.ts,
    type: event.type === 'custom' ? (event.customType ?? 'custom') : event.type,
    probe: event.probe,
    entity: event.entity,
    value: event.value,
  };
}
