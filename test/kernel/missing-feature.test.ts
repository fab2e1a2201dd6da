/** What libbpf and the verifier said on real kernels, and the feature that it means. */
import t from 'tap';
import { missingFeature } from '../../src/kernel/missing-feature.js';

t.test('a helper that the kernel does not know, by number only (5.10)', async (t) => {
  t.equal(
    missingFeature('85: (85) call unknown#158\ninvalid func unknown#158\nprocessed 12 insns'),
    'needs the helper bpf_get_current_task_btf in tracing programs (Linux 5.11)',
  );
  t.equal(missingFeature('invalid func unknown#9999'), 'needs the helper unknown');
});

t.test('a helper that it knows, but not for this kind of program (5.10, and the words of 6.8)', async (t) => {
  const want = 'needs the helper bpf_sk_storage_get in tracing programs (Linux 5.11)';
  t.equal(missingFeature('unknown func bpf_sk_storage_get#107'), want);
  t.equal(missingFeature('program of this type cannot use helper bpf_sk_storage_get#107'), want);
});

t.test('a loop that calls a function (before 5.17)', async (t) => {
  t.match(missingFeature("number of funcs in func_info doesn't match number of subprogs"), /bpf_loop.*5\.17/);
});

t.test('a hook that is not there', async (t) => {
  t.equal(
    missingFeature(
      "prog 'send__tp_btf': failed to find kernel BTF type ID of 'tcp_sendmsg_locked': -3\nprog 'send__tp_btf': failed to load: -3",
    ),
    'no tcp_sendmsg_locked in this kernel or its modules',
  );
});

t.test('a kind of map', async (t) => {
  const said =
    "Retrying without BTF.\nmap 'xctl_seen': failed to create: Invalid argument(-22)\nfailed to load";
  t.equal(
    missingFeature(said, (map) => (map === 'xctl_seen' ? 29 : undefined)),
    'needs task storage (Linux 5.11)',
  );
  t.equal(missingFeature(said), 'needs map xctl_seen');
});

t.test('sleepable programs', async (t) => {
  t.equal(
    missingFeature('Sleepable programs can only use array and hash maps'),
    'needs sleepable iterators (Linux 5.18)',
  );
});

t.test('atomic exchange, which an older verifier takes for a store', async (t) => {
  t.equal(missingFeature('BPF_STX uses reserved fields\n'), 'needs atomic exchange (Linux 5.12)');
});

t.test('what nobody knows stays as it was said', async (t) => {
  t.equal(missingFeature('R1 invalid mem access'), undefined);
  t.equal(missingFeature(''), undefined);
});
