/** Every rule's stories; a rule of rules/ without any here is a failing test. */
import { CRASH_STORIES } from './crash.js';
import { GPU_STORIES } from './gpu.js';
import { NETWORK_STORIES } from './network.js';
import { PROCESS_STORIES } from './process.js';
import { RDMA_STORIES } from './rdma.js';
import { STORAGE_STORIES } from './storage.js';
import type { RuleStories } from './story.js';

export const RULE_STORIES: readonly RuleStories[] = [
  ...GPU_STORIES,
  ...NETWORK_STORIES,
  ...RDMA_STORIES,
  ...STORAGE_STORIES,
  ...PROCESS_STORIES,
  ...CRASH_STORIES,
];
