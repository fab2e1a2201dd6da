import { closeSync, openSync, readFileSync } from 'node:fs';
import t from 'tap';
import { Libbpf } from '../../src/ffi/libbpf.js';
import {
  CLOCK_BOOTTIME,
  clockNs,
  getpid,
  getuid,
  mmap,
  pageSizeBytes,
  PROT_READ,
} from '../../src/ffi/libc.js';
import { Pinned } from '../../src/ffi/memory.js';
import { cString, errnoName, Library } from '../../src/ffi/native.js';
import { NativeError } from '../../src/util/errors.js';

t.test('the FFI calls libc: the package is installed and works', async (t) => {
  t.equal(getpid(), process.pid);
  t.equal(getuid(), process.getuid?.());
  t.ok(pageSizeBytes() >= 4096);
  const uptimeNs = Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]) * 1e9;
  t.ok(clockNs(CLOCK_BOOTTIME) >= uptimeNs - 1e7);
});

t.test('numbers and memory cross without change', async (t) => {
  const libc = Library.open(undefined);
  const labs = libc.bind('labs', 'i64', ['u64']);
  t.equal(labs.call(-5), 5, 'a negative number is sign-extended');
  t.equal(labs.call(2 ** 52), 2 ** 52);
  const abs = libc.bind('abs', 'i32', ['i32']);
  t.equal(abs.call(-2147483647), 2147483647);
  const strlen = libc.bind('strlen', 'u64', ['ptr']);
  t.equal(strlen.call(Pinned.string('päth')), 5);
  t.equal(cString(Pinned.string('grün').address), 'grün');
  t.equal(cString(0), '');
  t.equal(libc.find('xctl_no_such_function', 'i32', []), undefined);
  t.throws(
    () => libc.bind('xctl_no_such_function', 'i32', []),
    new NativeError('dlsym xctl_no_such_function', 'ENOSYS', 'libc is too old'),
  );
});

t.test('asynchronous calls leave the event loop free', async (t) => {
  const usleep = Library.open(undefined).bind('usleep', 'i32', ['u32']);
  let ticks = 0;
  const timer = setInterval(() => ticks++, 1);
  const codes = await Promise.all([usleep.callAsync(30_000), usleep.callAsync(30_000)]);
  clearInterval(timer);
  t.same(codes, [0, 0]);
  t.ok(ticks > 0);
});

t.test('a mapping shows the file; a refused one says why', async (t) => {
  const fd = openSync('/proc/self/exe', 'r');
  const mapping = mmap(fd, 4096, PROT_READ);
  t.equal(mapping.bytes.toString('latin1', 1, 4), 'ELF');
  mapping.unmap();
  closeSync(fd);
  t.throws(() => mmap(-1, 4096, PROT_READ), new NativeError('mmap', 'EBADF'));
});

t.test('a missing library is an error with what to do, not a crash', async (t) => {
  t.throws(
    () => new Libbpf('libbpf.so.404'),
    new NativeError('dlopen libbpf.so.404', 'ENOENT', 'apt-get install libbpf1'),
  );
});

t.test('errno names', async (t) => {
  t.equal(errnoName(-1), 'EPERM');
  t.equal(errnoName(11), 'EAGAIN');
  t.equal(errnoName(95), 'EOPNOTSUPP');
  t.equal(errnoName(-4001), 'LIBBPF_FORMAT');
  t.equal(errnoName(99999), 'errno 99999');
});

t.test('many calls with garbage collection in between keep their memory', async (t) => {
  const strlen = Library.open(undefined).bind('strlen', 'u64', ['ptr']);
  let wrong = 0;
  for (let i = 0; i < 20_000; i++) {
    const length = i % 300;
    if (strlen.call(Pinned.string('x'.repeat(length))) !== length) wrong++;
  }
  t.equal(wrong, 0);
});
