import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import t from 'tap';
import { BootClock } from '../../src/kernel/clock.js';
import { KmsgClock, logOffsetNs } from '../../src/probes/kmsg-clock.js';
import { openKmsg, RECORD_BYTES } from '../../src/probes/kmsg-reader.js';
import { headOf, lineOf } from '../../src/probes/kmsg-record.js';
import { until } from '../lib/until.js';
import { running, Script, scripted } from './lib/kmsg.js';

t.test('history: what the last ten minutes said, at its own time', async (t) => {
  const script = new Script();
  script.line('EXT4-fs (sdzz1): Remounting filesystem read-only', { ageMs: 900_000 });
  script.line('EXT4-fs (sdzz2): Remounting filesystem read-only', { ageMs: 60_000 });
  const { events } = await scripted(t, script);
  t.match(events, [
    { type: 'error.fs', entity: 'block:sdzz2', attrs: { class: 'read-only', fsType: 'ext4' } },
  ]);
  t.equal(events.length, 1);
  const ageMs = Date.now() - (events[0]?.ts ?? 0);
  t.ok(Math.abs(ageMs - 60_000) < 1_000, `${ageMs} ms old`);
});

t.test('events of each kind fit the catalogue', async (t) => {
  const script = new Script();
  const { probe, events } = await scripted(t, script);
  script.line('I/O error, dev sdzz, sector 1 op 0x0:(READ) flags 0x0');
  script.line('EXT4-fs error (device sdzz1): ext4_lookup:1785: inode #2: comm a\\x1b[2J: deleted');
  script.line('INFO: task py\\x1bthon:42 blocked for more than 122 seconds.');
  script.line('nfs: server 10.9.8.7 not responding, still trying');
  script.line('e1000: eth9 NIC Link is Down');
  script.line('e1000: eth9 NIC Link is Up 1000 Mbps Full Duplex');
  script.line(
    'NVRM: Xid (PCI:0000:3b:00): 45, pid=9, name=py\\x1bthon, Ch 1 \\x1b[2J caused by previous Xid 149',
  );
  script.line('nvidia-nvswitch3: SXid (PCI:0000:c1:00.0): 24007, Fatal, Link 28 sourcetrack timeout error');
  t.ok(probe.pass());
  const { decodeEvent, encodeEvent } = await import('../../src/events/codec.js');
  for (const event of events) t.match(decodeEvent(encodeEvent(event)), { ok: true }, event.type);
  t.strictSame(
    events.map(({ type }) => type),
    [
      'error.hw',
      'error.fs',
      'error.kernel',
      'storage.server',
      'topo.link_down',
      'topo.link_up',
      'error.xid',
      'error.sxid',
    ],
  );
  t.notMatch(JSON.stringify(events), /\\u001b/, 'nothing of it can control a terminal');
  t.match(events[2], { entity: 'pid:42', pid: 42, attrs: { comm: 'py\\x1bthon', seconds: 122 } });
});

t.test('the ring was overwritten: counted, and reading goes on', async (t) => {
  const script = new Script();
  script.line('first');
  const { probe, events } = await scripted(t, script);
  script.push('overwritten');
  script.line('EXT4-fs (sdzz1): Remounting filesystem read-only', { skip: 7_000 });
  script.push('overwritten', 'overwritten');
  script.line('last', { skip: 40 });
  script.push('rubbish', 'too-long');
  t.ok(probe.pass());
  t.match(probe.lost(), { overwritten: 7_040, malformed: 2, rate: 0 });
  t.equal(events.length, 1);
  t.match(probe.checks(), [{ status: 'ok' }, { status: 'degraded', detail: /7040 overwritten/ }]);
});

t.test('a screaming driver is told of five times, and counted', async (t) => {
  const script = new Script();
  const { probe, events } = await scripted(t, script);
  for (let i = 0; i < 3_000; i++) script.line(`I/O error, dev sdzz, sector ${i} op 0x0:(READ) flags 0x0`);
  script.line('I/O error, dev sdyy, sector 1 op 0x0:(READ) flags 0x0');
  await until(() => probe.stats().recognised === 3_001, { timeoutMs: 10_000, what: 'all of them' });
  t.equal(events.filter(({ entity }) => entity === 'block:sdzz').length, 5);
  t.equal(events.filter(({ entity }) => entity === 'block:sdyy').length, 1, 'the other disk is heard');
});

t.test('10,000 Xids in a second: none hides another, and the count is kept', async (t) => {
  const script = new Script();
  const { probe, events } = await scripted(t, script);
  const TOTAL = 10_000;
  for (let i = 0; i < TOTAL; i++) {
    script.line(
      `NVRM: Xid (PCI:0000:3b:00): 31, pid=77, name=python3, Ch ${i}, intr 00000000. MMU Fault: ENGINE`,
    );
    if (i === 7_000) script.line('NVRM: Xid (PCI:0000:5e:00): 79, GPU has fallen off the bus.');
  }
  await until(() => probe.stats().recognised === TOTAL + 1, { timeoutMs: 20_000, what: 'all of them' });
  t.match(
    events.filter(({ entity }) => entity === 'gpu:0000:5e:00.0'),
    [{ type: 'error.xid', attrs: { code: 79 }, value: 1 }],
    'the other GPU is heard',
  );
  const flood = events.filter(({ entity }) => entity === 'gpu:0000:3b:00.0');
  t.ok(flood.length <= 6, `${flood.length} events of ${TOTAL}`);
  t.match(flood[0], { type: 'error.xid', pid: 77, attrs: { code: 31, toldBy: 'line' } });
  t.equal(probe.lost().rate, 0, 'each was looked at');
  const { slices, spentMs } = probe.stats();
  t.comment(`${((spentMs * 1e3) / TOTAL).toFixed(1)} us a line, ${slices} slices`);
  t.ok(spentMs < 1_000, `${spentMs.toFixed(0)} ms for all of them`);
});

t.test('more lines than may be looked at are counted', async (t) => {
  const script = new Script();
  const { probe } = await scripted(t, script);
  for (let i = 0; i < 30_000; i++) script.line('noise');
  await until(() => probe.stats().records === 30_000, { timeoutMs: 20_000, what: 'all of them' });
  t.ok(probe.lost().rate > 0, `${probe.lost().rate} not looked at`);
});

t.test('a log that cannot be read any more', async (t) => {
  const script = new Script();
  script.line('first');
  const { probe } = await scripted(t, script);
  script.push(new Error('EIO: i/o error, read'));
  probe.pass();
  t.match(probe.checks(), [{ status: 'failed', detail: /EIO/ }]);
  t.ok(script.closed);
  t.notOk(probe.pass());
  t.equal(probe.lost().failed, 1);
});

t.test('no log here', async (t) => {
  await t.rejects(running(t, { path: `${t.testdir()}/kmsg` }), /kmsg: ENOENT/);
  const { probe } = await running(t, { path: '/dev/null' });
  t.match(probe.checks(), [{ status: 'degraded', detail: /not the kernel's log/ }]);
});

/** Lines as a program writes them. The kernel takes ten of an open file and drops the rest: often a new one. */
function write(lines: Iterable<string>): void {
  let fd: number | undefined;
  let written = 0;
  for (const line of lines) {
    if (fd === undefined || written % 8 === 0) {
      if (fd !== undefined) closeSync(fd);
      fd = openSync('/dev/kmsg', 'w');
    }
    // Without a line break the kernel waits for more of it, and nobody can read it yet.
    writeSync(fd, `${line}\n`);
    written++;
  }
  if (fd !== undefined) closeSync(fd);
}

function unwritable(): string | false {
  try {
    if (readFileSync('/proc/sys/kernel/printk_devkmsg', 'utf8').trim() === 'off')
      return 'kernel.printk_devkmsg is off';
    closeSync(openSync('/dev/kmsg', 'w'));
    openKmsg('/dev/kmsg').close();
    return false;
  } catch (error) {
    return `/dev/kmsg: ${error instanceof Error ? error.message : 'unreadable'}`;
  }
}

const skip = unwritable();

t.test('nobody can write a fault into the real log', { skip }, async (t) => {
  const { probe, events } = await running(t);
  const before = probe.stats().fromUsers;
  const forged = [
    'EXT4-fs (xctlforged): Remounting filesystem read-only',
    'I/O error, dev xctlforged, sector 1 op 0x0:(READ) flags 0x0',
    'nfs: server xctlforged not responding, still trying',
    'INFO: task xctlforged:77 blocked for more than 122 seconds.',
  ];
  // With no facility, with the kernel's, and with a line break before what looks like a record of its own.
  write(forged.flatMap((text) => [`<7>${text}`, text, `<15>${text}`, `<7>x\n3,1,1,-;${text}`]));
  await until(() => probe.stats().fromUsers - before >= 16, { timeoutMs: 10_000, what: 'the lines' });
  t.notMatch(JSON.stringify(events), /xctlforged/);
});

t.test('the time of a line that was there before', { skip }, async (t) => {
  if (logOffsetNs() === undefined)
    t.comment('tracefs does not tell the clock of the log: half a second off at most');
  const reader = openKmsg('/dev/kmsg');
  t.teardown(() => reader.close());
  const bytes = Buffer.alloc(RECORD_BYTES);
  const clock = new KmsgClock(BootClock.now());
  const before = Date.now();
  write(['<7>xctl was here']);
  const after = Date.now();
  let ts: number | undefined;
  for (let read = reader.read(bytes); read !== 'empty'; read = reader.read(bytes)) {
    const head = typeof read === 'number' ? headOf(bytes, read) : undefined;
    if (head === undefined || typeof read !== 'number') continue;
    // Its own look is not known, as for all that was there at the start.
    const at = clock.eventTime(head.timeUs, undefined);
    if (lineOf(bytes, head, read).text === 'xctl was here') ts = at;
  }
  const off = Math.max(before - (ts ?? 0), (ts ?? 0) - after);
  t.ok(off < (logOffsetNs() === undefined ? 60_000 : 50), `${off} ms outside of when it was written`);
});

t.test('100,000 lines: none is missed in silence, and the loop stays free', { skip }, async (t) => {
  const { probe } = await running(t);
  await until(() => probe.pass(), { timeoutMs: 20_000, what: 'the end of the log' });
  const before = { ...probe.stats(), ...probe.lost() };
  // Written at once, so that the ring goes round: in this thread nobody can read meanwhile.
  const TOTAL = 100_000;
  const text = 'xctl flood '.padEnd(80, '.');
  write(
    (function* () {
      for (let i = 0; i < TOTAL; i++) yield `<7>${text}${i}`;
    })(),
  );
  const delay = monitorEventLoopDelay({ resolution: 5 });
  delay.enable();
  await until(() => probe.pass(), { timeoutMs: 60_000, what: 'the end of the flood', everyMs: 10 });
  delay.disable();
  const read = probe.stats().fromUsers - before.fromUsers;
  const overwritten = probe.lost().overwritten - before.overwritten;
  t.ok(read > 0, `${read} read`);
  t.ok(overwritten > 0, `${overwritten} overwritten`);
  t.ok(read + overwritten >= TOTAL, `${read + overwritten} accounted for`);
  t.ok(read + overwritten < TOTAL + 10_000, 'and no more than there were');
  const slices = probe.stats().slices - before.slices;
  const sliceMs = (probe.stats().spentMs - before.spentMs) / slices;
  t.comment(`${slices} slices of ${sliceMs.toFixed(1)} ms, longest delay ${(delay.max / 1e6).toFixed(1)} ms`);
  t.ok(slices > 1 || read < 5_000, 'in slices');
  t.ok(sliceMs < 25, 'a slice is a few ms');
});

/** What another process does: lines as fast as they can be written, without an end of their own. */
const FLOOD = `
  const { openSync, writeSync, closeSync } = require('node:fs');
  for (let i = 0; i < 100_000; i += 10) {
    const fd = openSync('/dev/kmsg', 'w');
    for (let j = 0; j < 10; j++) writeSync(fd, '<7>xctl flood ' + (i + j) + '\\n');
    closeSync(fd);
  }`;

t.test('100,000 lines while the probe reads: others have their turn', { skip }, async (t) => {
  const { probe } = await running(t);
  await until(() => probe.pass(), { timeoutMs: 20_000, what: 'the end of the log' });
  const before = { ...probe.stats(), ...probe.lost() };
  let ticks = 0;
  const ticking = setInterval(() => ticks++, 10);
  t.teardown(() => clearInterval(ticking));
  const startedAt = performance.now();
  const writer = spawn(process.execPath, ['-e', FLOOD], { stdio: 'ignore' });
  t.teardown(() => writer.kill('SIGKILL'));
  let ended = false;
  writer.once('exit', () => {
    ended = true;
  });
  await until(() => ended && probe.pass(), { timeoutMs: 60_000, what: 'the end of the flood' });
  const elapsedMs = performance.now() - startedAt;
  t.equal(writer.exitCode, 0);
  const slices = probe.stats().slices - before.slices;
  const spentMs = probe.stats().spentMs - before.spentMs;
  const read = probe.stats().fromUsers - before.fromUsers;
  const overwritten = probe.lost().overwritten - before.overwritten;
  t.comment(
    `${elapsedMs.toFixed(0)} ms: ${read} read, ${overwritten} overwritten, ${slices} slices, ${spentMs.toFixed(0)} ms in them, ${ticks} ticks`,
  );
  t.ok(read + overwritten >= 100_000, 'each is read or counted');
  t.ok(slices > 1 && spentMs < elapsedMs / 2, 'less than half of the time in slices');
  t.ok(ticks > elapsedMs / 100, 'a timer of 10 ms comes at least every 100 ms on the average');
});
