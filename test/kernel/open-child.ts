/** Run with few rights by kernel.test.ts: what `Kernel.open` says is what it prints. */
import { Kernel } from '../../src/kernel/kernel.js';
import { createLog } from '../../src/util/log.js';

const [bpfDir = '', object] = process.argv.slice(2);
try {
  const kernel = await Kernel.open({ log: createLog('error', () => {}), bpfDir });
  if (object !== undefined) {
    const { programs } = await kernel.load(object);
    console.log(JSON.stringify(programs));
  }
  kernel.stop();
} catch (error) {
  console.log(String(error));
}
