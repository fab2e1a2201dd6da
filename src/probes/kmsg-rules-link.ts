/**
 * Network links that come and go. Only lines with a PCI device: interfaces of containers (veth, bridge, bond)
 * print under names that mean others here, and anybody may make some.
 */
import type { Rule } from './kmsg-rules.js';

export const LINK_RULES: readonly Rule[] = [
  // netdev_info() and the like: `mlx5_core 0000:3b:00.0 ens1np0: Link down`. mlx5/core/en_main.c; ixgbe, i40e, ice
  // (`NIC Link is up 25 Gbps`), igb (`igb: eth0 NIC Link is Up`), bnxt, tg3, r8169, drivers/net/phy/phy.c.
  {
    device: true,
    pattern:
      /^([^ ]{1,32}) [0-9a-f:.]{7,16} ([^ :]{1,15}): (?:[a-z0-9]{1,16}: [^ ]{1,15} )?(?:NIC )?[Ll]ink (?:is )?([Uu]p|[Dd]own)\b/,
    find: ([, driver = '', name = '', state = ''], places, { device }) =>
      link(places.net(name, device), driver, state),
  },
  // drivers/net/ethernet/intel/e1000/e1000_main.c, e1000e/netdev.c up to 5.x: pr_info.
  {
    pattern: /^(e1000e?|igb): ([^ :]{1,15}) NIC Link is (Up|Down)\b/,
    find: ([, driver = '', name = '', state = ''], places) =>
      link(places.net(name, undefined), driver, state),
  },
  // drivers/net/ethernet/mellanox/mlx5/core/events.c, port_module(): InfiniBand ports print nothing else.
  {
    device: true,
    pattern:
      /^(mlx5_core) [0-9a-f:.]{7,16}: [^\n]{0,60}Port module event(?:\[error\])?: module \d{1,3}, (Cable [a-z]{1,16})/,
    find: ([, driver = '', status = ''], places, { device }) =>
      // `Cable plugged` is no link yet.
      status === 'Cable plugged' ? undefined : link(places.port(device), driver, 'down'),
  },
];

function link(entity: string | undefined, driver: string, state: string) {
  return entity === undefined
    ? undefined
    : { type: 'topo.link' as const, entity, up: state.toLowerCase() === 'up', driver };
}
