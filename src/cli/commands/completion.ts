/** `xctl completion SHELL` prints the script; the script asks `xctl __complete WORDS…`. */
import { choice } from '../core/args.js';
import { type Command, type Context, createCommand } from '../core/command.js';
import { complete } from '../core/complete.js';

const SHELLS = ['bash', 'zsh', 'fish'] as const;

/** A prompt must not hang on an agent that does. */
const ASK_MS = 200;
/** First word of the answer that tells the script to offer files. */
const FILES = ':files';

const SCRIPTS: Readonly<Record<(typeof SHELLS)[number], string>> = {
  bash: `_xctl() {
  local words=("\${COMP_WORDS[@]:1:COMP_CWORD}")
  local cur="\${COMP_WORDS[COMP_CWORD]}"
  mapfile -t COMPREPLY < <(xctl __complete -- "\${words[@]}" 2>/dev/null)
  if [[ "\${COMPREPLY[0]}" == "${FILES}" ]]; then mapfile -t COMPREPLY < <(compgen -f -- "$cur"); fi
}
complete -F _xctl xctl
`,
  zsh: `#compdef xctl
_xctl() {
  local -a offered
  offered=("\${(@f)$(xctl __complete -- "\${words[@]:1:$((CURRENT - 1))}" 2>/dev/null)}")
  if [[ "\${offered[1]}" == "${FILES}" ]]; then _files; else compadd -a offered; fi
}
compdef _xctl xctl
`,
  fish: `function __xctl_complete
  set -l words (commandline -opc) (commandline -ct)
  set -l offered (xctl __complete -- $words[2..-1] 2>/dev/null)
  if test "$offered[1]" = "${FILES}"
    __fish_complete_path (commandline -ct)
  else
    printf '%s\\n' $offered
  end
end
complete -c xctl -f -a '(__xctl_complete)'
`,
};

export const completionCommand = createCommand({
  name: 'completion',
  describe: 'Print the completion script of a shell, e.g. source <(xctl completion bash)',
  examples: [
    'xctl completion bash > /etc/bash_completion.d/xctl',
    'xctl completion zsh',
    'xctl completion fish',
  ],
  outputs: ['text'],
  positionals: { shell: choice(SHELLS, 'The shell') },
  options: {},
  run: async (args, context) => context.terminal.print(SCRIPTS[args.shell ?? 'bash']),
});

/** The lines that a script offers. Never fails: a shell that completes is no place for messages. */
export async function offer(
  words: readonly string[],
  commands: readonly Command[],
  context: Pick<Context, 'terminal'>,
  socketPath: string,
): Promise<void> {
  const completion = complete(words, commands);
  switch (completion.kind) {
    case 'files':
      return context.terminal.print(`${FILES}\n`);
    case 'words':
      return context.terminal.print(completion.words.map((word) => `${word}\n`).join(''));
    case 'pids': {
      const typed = words.at(-1) ?? '';
      const pids = (await knownPids(socketPath)).filter((pid) => pid.startsWith(typed));
      return context.terminal.print(pids.map((pid) => `${pid}\n`).join(''));
    }
  }
}

async function knownPids(socketPath: string): Promise<readonly string[]> {
  try {
    const { AgentClient } = await import('../../api/client.js');
    const { processes } = await new AgentClient({ socketPath, timeoutMs: ASK_MS }).ps();
    return processes.map(({ pid }) => String(pid));
  } catch {
    return [];
  }
}
