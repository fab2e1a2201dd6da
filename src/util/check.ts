/** One line of `xctl doctor`: what a part of the agent can do here, and what was taken away and why. */
export interface Check {
  /** `ok`: works. `degraded`: something is taken away, `detail` says what and why. `failed`. */
  readonly status: 'ok' | 'degraded' | 'failed' | 'off';
  /** `kernel`, `probe tcp`, `program tcp/retransmit`, `ring events`, … */
  readonly name: string;
  readonly detail: string;
}
