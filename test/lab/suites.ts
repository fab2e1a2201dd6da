/** Every suite of the lab, in the order in which they are played. */
import type { Suite } from './scenario.js';
import { DECOYS } from './scenarios/decoys.js';
import { DOUBLE } from './scenarios/double.js';
import { GPU, GPU_CALM, GPU_XID } from './scenarios/gpu.js';
import { GPU_IDLE } from './scenarios/gpu-idle.js';
import { HEALTHY } from './scenarios/healthy.js';
import { HOST } from './scenarios/host.js';
import { NETWORK } from './scenarios/network.js';
import { PROCESS } from './scenarios/process.js';
import { STORAGE } from './scenarios/storage.js';
import { TRAINING } from './scenarios/training.js';

export const SUITES: readonly Suite[] = [
  NETWORK,
  PROCESS,
  HOST,
  DECOYS,
  HEALTHY,
  DOUBLE,
  STORAGE,
  TRAINING,
  GPU,
  GPU_XID,
  GPU_CALM,
  GPU_IDLE,
];
