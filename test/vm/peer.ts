/**
 * The second of two guests: starts workloads, sends them signals and runs commands, as it is told over the control wire,
 * one JSON object a line. It knows nothing of what is tested.
 */
import { execFile } from 'node:child_process';
import { createServer, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Proc, startWorkload } from '../lib/proc.js';
import { openScope } from '../lib/scope.js';
import type { Answer, Order } from './second.js';
import { addressOf, PEER_PORT, setUpWires } from './wires.js';

const scope = openScope();
const procs = new Map<number, Proc>();

async function follow(order: Order, say: (answer: Answer) => void): Promise<void> {
  const { id } = order;
  if ('signal' in order) {
    procs.get(id)?.kill(order.signal);
  } else if ('start' in order) {
    const proc = await startWorkload(scope, order.start, order.args);
    procs.set(id, proc);
    say({ id, pid: proc.pid });
    for (let told = 0; proc.running || told < proc.stdout.length; ) {
      const line = proc.stdout[told];
      if (line === undefined) await sleep(20);
      else {
        say({ id, line });
        told++;
      }
    }
    say({ id, line: `ended ${proc.stderr.slice(-3).join(' | ')}` });
  } else {
    const [file = '', ...words] = order.run;
    execFile(file, words, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1;
      say({ id, code, stdout: code === 0 ? stdout : `${stdout}${stderr}` });
    });
  }
}

function serve(socket: Socket): void {
  const say = (answer: Answer): void => void socket.write(`${JSON.stringify(answer)}\n`);
  socket.on('error', () => undefined);
  createInterface({ input: socket }).on('line', (line) => {
    const order = JSON.parse(line) as Order;
    follow(order, say).catch((error: unknown) => say({ id: order.id, error: String(error) }));
  });
}

await setUpWires(2);
createServer(serve).listen(PEER_PORT, addressOf('control', 2));
