/** Every command, in the order of the help. */
import type { Command } from '../core/command.js';
import { casesCommand } from './cases.js';
import { completionCommand } from './completion.js';
import { diagCommand } from './diag.js';
import { doctorCommand } from './doctor.js';
import { eventsCommand } from './events.js';
import { graphCommand } from './graph.js';
import { psCommand } from './ps.js';
import { rulesCommand } from './rules.js';
import { topCommand } from './top.js';
import { versionCommand } from './version.js';
import { whyCommand } from './why.js';

export const COMMANDS: readonly Command[] = [
  whyCommand,
  diagCommand,
  psCommand,
  topCommand,
  eventsCommand,
  graphCommand,
  rulesCommand,
  casesCommand,
  doctorCommand,
  versionCommand,
  completionCommand,
];
