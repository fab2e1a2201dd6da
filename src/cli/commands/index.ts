/** Every command, in the order of the help. */
import type { Command } from '../core/command.js';
import { completionCommand } from './completion.js';
import { doctorCommand } from './doctor.js';
import { eventsCommand } from './events.js';
import { graphCommand } from './graph.js';
import { psCommand } from './ps.js';
import { versionCommand } from './version.js';
import { whyCommand } from './why.js';

export const COMMANDS: readonly Command[] = [
  whyCommand,
  psCommand,
  eventsCommand,
  graphCommand,
  doctorCommand,
  versionCommand,
  completionCommand,
];
