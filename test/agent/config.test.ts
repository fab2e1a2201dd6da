import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { type AgentConfig, BUILTIN_PROBES, parseCommandLine } from '../../src/agent/config.js';
import { tempFolder } from './fixtures.js';

function configOf(...argv: string[]): AgentConfig {
  const invocation = parseCommandLine(argv, '1.2.3');
  if (!('run' in invocation)) throw new Error(`printed ${invocation.print}`);
  return invocation.run;
}

t.test('defaults: nothing listens on the network', async (t) => {
  t.strictSame(configOf(), {
    socket: '/run/xctl/agent.sock',
    probes: BUILTIN_PROBES,
    subprocesses: [],
    logLevel: 'info',
  });
});

t.test('flags', async (t) => {
  const folder = tempFolder(t);
  t.strictSame(
    configOf(
      '--socket',
      'a.sock',
      '--metrics-port',
      '9469',
      '--metrics-address=127.0.0.1',
      '--rules',
      folder,
      '--probes',
      'waits, tcp',
      '--probe',
      "a 'b c' | $x",
      '--probe',
      '"q" "r"',
      '--record',
      '/x/y',
      '--log-level',
      'debug',
    ),
    {
      socket: join(process.cwd(), 'a.sock'),
      metrics: { port: 9469, address: '127.0.0.1' },
      rules: folder,
      probes: ['tcp', 'waits'],
      subprocesses: [
        ['a', 'b c', '|', '$x'],
        ['q', 'r'],
      ],
      record: '/x/y',
      logLevel: 'debug',
    },
  );
  t.strictSame(configOf('--probes', 'none').probes, []);
  t.strictSame(
    configOf('--gpu-trace').probes,
    ['gpu-trace', ...BUILTIN_PROBES],
    'off unless it is asked for',
  );
  t.throws(() => configOf('--gpu-trace=maybe'), /--gpu-trace takes no value/);
  t.throws(() => configOf('--rdma-trace=maybe'), /--rdma-trace takes no value/);
  t.strictSame(configOf('--rdma-trace', '--gpu-trace').probes, [
    'gpu-trace',
    'rdma-trace',
    ...BUILTIN_PROBES,
  ]);
  t.strictSame(configOf('--gpu-trace', '--probes', 'waits').probes, ['gpu-trace', 'waits']);
  t.strictSame(configOf('--probes', 'waits,gpu-trace').probes, ['gpu-trace', 'waits']);
  t.strictSame(configOf('--metrics-port', '0').metrics, { port: 0 });
});

t.test('--version and --help only print', async (t) => {
  t.strictSame(parseCommandLine(['--version'], '1.2.3'), { print: 'xctl-agent 1.2.3\n' });
  t.match(parseCommandLine(['--help'], '1.2.3'), { print: /--metrics-port .*nothing\s+listens/s });
});

t.test('each mistake gets one line that says what to write', async (t) => {
  const cases: readonly [readonly string[], RegExp][] = [
    [['--bogus'], /Unknown argument: bogus; flags are --socket /],
    [['--metricsPort', '1'], /Unknown argument: metricsPort/],
    [['--no-socket'], /Unknown argument: no-socket/],
    [['word'], /Unknown argument: word/],
    [['--', 'word'], /Unknown argument: word/],
    [['--socket'], /--socket needs a value/],
    [['--socket='], /--socket needs a value/],
    [['--socket', 'a', '--socket', 'b'], /--socket takes one value/],
    [['--socket', `/${'x'.repeat(200)}`], /over 107 bytes/],
    [['--metrics-port', 'http'], /one port from 0 to 65535, e\.g\. 9469, not "http"/],
    [['--metrics-port', '65536'], /not "65536"/],
    [['--metrics-port', '-1'], /not "-1"/],
    [['--metrics-port', '1', '--metrics-port', '2'], /not \["1","2"\]/],
    [['--metrics-address', '::1'], /give --metrics-port too/],
    [['--rules', '/nonexistent'], /is no directory/],
    [
      ['--probes', 'tcp,dns'],
      /no probe "dns"; known are process, block, filesystem, tcp, waits, host, rdma, gpu, kmsg, gpu-trace, rdma-trace, or none/,
    ],
    [['--probes', 'tcp,none'], /no probe "none"/],
    [['--probe', 'a "b'], /--probe: the command has an open "/],
    [['--probe', ''], /--probe: the command is empty/],
    [['--log-level', 'loud'], /one of debug, info, warn, error, not "loud"/],
    [['--config', '/nonexistent'], /cannot read --config \/nonexistent \(ENOENT\)/],
    [['--config', '/'], /EISDIR/],
    [['--\u001b[31m'], /Unknown argument: \\x1b/],
  ];
  for (const [argv, message] of cases) {
    t.throws(() => configOf(...argv), { name: 'UsageError', message }, JSON.stringify(argv));
    t.throws(() => configOf(...argv), { message: /^[^\n]+$/ }, 'one line');
  }
});

t.test('--config FILE', async (t) => {
  const folder = tempFolder(t);
  const path = join(folder, 'agent.yaml');
  const write = (text: string): string[] => {
    writeFileSync(path, text);
    return ['--config', path];
  };
  const flags = write(
    '# comment\nmetrics-port: 9469\nprobes: [waits]\nprobe:\n  - "a b"\n  - c\nsocket: /x/file.sock\n',
  );
  t.match(configOf(...flags), {
    metrics: { port: 9469 },
    probes: ['waits'],
    subprocesses: [['a', 'b'], ['c']],
    socket: '/x/file.sock',
  });
  t.match(
    configOf(...flags, '--socket', '/x/flag.sock', '--probe', 'd'),
    { socket: '/x/flag.sock', subprocesses: [['d']] },
    'flags win',
  );
  t.strictSame(configOf(...write('# socket: /x\n')), configOf(), 'all commented out');
  t.strictSame(configOf(...write('probes: tcp,waits\nprobe: one command')).subprocesses, [
    ['one', 'command'],
  ]);
  t.strictSame(configOf(...write('probes: waits\ngpu-trace: true')).probes, ['gpu-trace', 'waits']);
  t.strictSame(configOf(...write('gpu-trace: false')).probes, BUILTIN_PROBES);
  const cases: readonly [string, RegExp][] = [
    ['# c\nmetrisc-port: 1\n', /agent\.yaml:2: metrisc-port is no setting; known are socket, /],
    ['socket: /x\nconfig: y\n', /agent\.yaml:2: config is no setting/],
    ['probe:\n  - a\n\n\n"metrics-port": high\n', /agent\.yaml:5: metrics-port must be one port/],
    ['metrics-port: [1]\n', /agent\.yaml:1: metrics-port must be one port/],
    ['metrics-port: 80.5\n', /agent\.yaml:1/],
    ['socket: 12\n', /agent\.yaml:1: socket must be text/],
    ['socket: {a: 1}\n', /agent\.yaml:1: socket must be text/],
    ['record:\n', /agent\.yaml:1: record has no value/],
    ['probe: [[a]]\n', /agent\.yaml:1: probe: \["a"\] is no command/],
    ['gpu-trace: maybe\n', /agent\.yaml:1: gpu-trace is on or off/],
    ['probes: 7\n', /agent\.yaml:1: probes must be a list/],
    ['socket: a\nsocket: b\n', /agent\.yaml:2: not YAML: duplicated mapping key/],
    ['a: [\n', /agent\.yaml:\d+: not YAML/],
    ['- a\n', /is not a mapping/],
    ['--- {}\n--- {}\n', /several YAML documents/],
    ['"\\e[31m": 1\n', /agent\.yaml:1: \\x1b\[31m is no setting/],
    [`a: ${'['.repeat(100_000)}`, /not YAML/],
  ];
  for (const [text, message] of cases) {
    t.throws(() => configOf(...write(text)), { name: 'UsageError', message }, text.slice(0, 40));
    t.throws(() => configOf(...write(text)), { message: /^[^\n]+$/ }, 'one line');
  }
});
