/**
 * The words that may leave the node (diag/anonymise.ts): those of our own sentences, of event types and of what
 * the kernel log usually says. A word that is missing here costs the model a little understanding; a word too
 * many costs nothing but could spell a secret, so names of products, people and programs are not added.
 * test/diag/words.test.ts says when a sentence of src/scene uses one that is not here.
 */
const WORDS = `
a abort aborted aborting about above accelerator accept accepted access ack acked acknowledge acks across
act action activation adapter add addr address adj aer after again agent agents ago air alignment alike
alive all allow allreduce almost alone along alternatives although always among ampere an and anew anon
another answer answered answers any anybody anyone anything app application are armed around array arrive
arrived as ask asked asks asleep assert async at ata attributes auto aux available average awake away back
backoff backup bad bandwidth bank barrier baseline batch be because become becomes been before began begin
begins begun behind belonged below ber beside best better between bit bits bitstream block blocked blocking
bmc board both bottom bound brake breakpoint bridge bring broadcast broken brought btrfs buffer bug bundle
bus busy by byte byte's bytes cable cables cache caches call called calls came can cannot carrier carry
cause caused ce celsius certain cgroup cgroups chain changed channel check checked checkpoint checkpointing
checkpoints checksum child chip ci cifs circuit class cleanup clock clocks close closed cm cmd code coherent
cold collective collectives come comes comm command commands commit common communicator compare compete
completes completion compositor compromised compute computes concluded condition confidence confidential
configuration configured congested congestion connect connected connectfails connection connections
connectors connects consumers consumes cont contact contained container containment context contexts control
controller cool coolant cooling copy core coredumpctl correct correctable corrected could counted counter
counters counts cpu cpus cpuset cpustarved cputhrottled crashed crossbar ctl cuda cursor damaged data
dataloader day days dbe dcgmi dead deadlock debug debugger decides decoder deep deepest degrees depth
descriptors design despite destroyed detach detached detected dev device devicefatal devicegone diag
diagnostics did died different dimm disabled discards disk diskfull display displayport dla dma dmesg
dmsetup do does done down downstream dpc drain dram draw driver drivers du dump dumped dupack duplex during
each earlier early ecc ecn econnrefused edac effect ehostunreach eight einval eio either else elsewhere
emask empty enabled enclosure encoder encrypted encryption end ended ends enetunreach engine enough enqueue
enqueued epoch equal erase err error errors estimation ethtool etimedout event events every everybody
everything everywhere evidence exc exceeded exception exchanged exec exerciser exit exitcode exited expected
explains ext2 ext3 ext4 extra fabric fact factor facts fail failed failing failure fake fall fallen falling falls
false fans far fast fatal fault faults faulty fd february fell fetches few fewer field fifo file files
filesystem filesystems fin find fine finish firewall firmware first fit fits five fixed flapping flaps flash
flight flow flush follow followed follows for forbids forced fork found four frame framebuffer framework
free freeze freezes from front froze frozen fs fsck fsfreeze full further futex future gather gave gbit gdb
get gets gfp ghz gib gid gids give given gives giving go goes going gone good got gpc gpu gpuerror gpuoom
gpus gpusync gpuutillow grace graph graphics grew growing gsi gsp guest had half halt hand handles handling
hands hang hangs hard hardly hardware has have he head health healthy heat held her here high him his
histogram hit hold holder holders holding holds host hostbound hostoom hot hour hours how however hundred
hung hungtask hw hwpoison hz i ib iblinkinfo ibstat ibv icmp identify idle if ignore illegal image immediate
impossible in index info informational init initialised injected inner inode inodes inside instance instead
instruction int interface intermittent interrupt into invalid invoked io iostat ip irq is it iteration its
itself january job jobs join joins journal jpeg just keep keeps kept kernel kernellockup key keys khz kib
kill killed killer kind know known kubernetes lanes large largest last lasted lasts late latency later
latest layer lba learning least leave left less let level library lid lies life likely limit limiting limits
line lines link linkflapping links list listen listens lists little lives local lock locked lockheld locks lockup
log logging logical logs long longer look looked looks lookup losing loss lost loud lower lowered lsblk lvm
machine made main make makes making managed management manager manages many mapped marked master mastering
max may mc mce md mdstat me mean meaning means meant mechanicals median medium memcg memory memoryfailure
memorylimit memorypressure message metadata method mhz mib microcontroller middle mig might million min
minor minute minutes misc missing mlx4 mlx5 mmu mode module moment monday month more most mostly motion
mount mounted move moves mpeg ms mse mspdec msppp mss msvld mtu much multicast multipath must my naks name
named names nccl ncclinit ncclrankbehind ncclremote ncq near nearer nearly need needed needs negotiation
neigh neither net network networkdrop networkstall never new newest next nfs nfs4 nfsd nics nine no nobody
node nodes non none nonfatal nor not note nothing notifications notifier now null num numactl number nvdec
nvenc nvidia nvjpg nvlink nvlinks nvme nvml nvrm nvswitch nvswitches object of ofa off offbus offline
offlined often ok old older omp on once one ones only oom op open opensm optical or order other others our
out outer output outs outside over overflow overlay own owned owner owners p50 p95 p99 p999 package packet
packets page pair pairs parameter parent parse parsed part partition partitions parts pass passed past path
pathdown pattern pbdma pci pcie pcieport peer peerended peers peerslow pending percent perf performance
perhaps periods permanent person pfc physical pib picture pid pin ping pingpong pipe pixels place plan pmu
points poison poll polled polls poor port portdown ports possible post posted posting posts power preempt
preemption prefetch present pressure previous printed probably probe probes proc process processblocked
processcrash processes processor program programs progress protected ps psu purpose pushbuffer put py qc qp
qperror quantile queue quiet quite quota raise raised ran rank ranks rare rarely ras rate rather ratio raw
rc rcu rdma reach reached reaches read reader reading readonly reads ready rear reason reboot rebooted
receive receives reclaims recommendations recover recovered recovery recurring reduce reduction refused
register registered registers rejected released reload remap remapped remapper remote remount remounting
removed rendezvous repair repaired repeated replace replaced replacement report reported reports request
requests required reserved reset resets resetting resolve resource resources resp responding rest restart
restarted resume retired retransmission retransmit retransmitted retries retry right ring rise rises rising
rnr room rose rotation route routes routing row rows rpc rpcinfo rping rss rst rto rtt rule rules run
running runs runtime rxe sack said same sampled sampler samples sanitizer sata saw say says sbe scanline
scene scheduler score seated seating sec second seconds sector sectors secure security see seen sees segment
segments seldom semaphore send sends sense sent sequence server serves service set setting settings seven
several sh shall share shared she shell shmem short shorter should show shown shows shrinking shut shutdown
side sigabrt sigbus sigfpe sighup sigill sigint sigkill signal signals sigpipe sigsegv sigstop sigsys
sigterm sigtrap sigtstp silent since single six sizes sleep sleeping sleeps slept slot slow slowdown slowed
slower sm smaller smart smartctl smbpbi smbus smi sminfo smoothing smooths snapshot so socket soft softirq
softreset software somebody someone something sound space spare speed spy sqe sram srtt stack stacks stall
stalls stand stands start started starts state static status step steps still stood stop stopped stops storage
storageioerror storageslow store stream stress stuck submits submitted subnet subscene succeed summary
superblock supervisor supply support sure surely surprise survive suspended sw swing switch switched
switches sxid symptom syn syndrome system table tag tainted take taken takes taking task tcp telemetry tell
telling tells temperature ten test than that thaw thawed the their them then there therefore thermal they
things this those thousand thread threads three threshold thrice throttle throttled through throughput tib
tid time timed timeout timeouts timer times timing tlp tmp tmpfs to together told too took tool top topo
total touch touched toward towards tpc tpcs trace traced tracer tracking traffic train training transaction
transceivers transient translation transmit transport trex tries trouble true turn twenty twice two ud udp
ue unacked unanswered unavailable uncertain uncontained uncorrectable uncorrected under underflow
uninterruptible unit unix unknown unlike unlikely unloaded unmount unmounted unowned unreachable unrecovered
unstable until untrue unused unusual up update upstream us use used users uses usual usually uuid uvm value
vblank vendor verdict verification version versions very vga vgpu video violation virtual vm wait waited
waiter waiters waiting waits waitsonpeer wake wakes wanted warning was watchdog watt watts way we wear
wearing week weeks well went were what when where whether which while who whoever whole whom whose why will
window windows with withhold within without woke word work worker workers working works worn worse worst
would wrapper write writeback writes writing written wrong wrote xc xctl xfs xid year yes yet you young your
zero zerowindow
`;

/** What a number may be followed by without being somebody's. */
const UNITS = `
ms s sec second seconds min minute minutes h hour hours day days us ns b byte bytes kb mb gb tb kib mib gib tib
bit bits gbit mbit gbps mbps hz khz mhz ghz w c core cores cpu cpus thread threads process processes time times
timeouts timeout retransmits retransmit segments segment packets packet requests request errors error failures
retries retry collectives ranks rank gpus gpu ports links inodes blocks descriptors descriptor members holders
% faults rows lanes work
`;

const words = new Set(WORDS.trim().split(/\s+/));
const units = new Set(UNITS.trim().split(/\s+/));

export function isPlainWord(word: string): boolean {
  return words.has(word.toLowerCase());
}

export function isUnit(word: string): boolean {
  return units.has(word.toLowerCase().replace(/[.,;:!?)]+$/, ''));
}
