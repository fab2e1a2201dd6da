/**
 * How sure each kind of evidence makes us, 0 to 1. One table, so that the fault lab can judge and
 * change it in one place; a number here is a claim about how often such an answer is right.
 */
export const CONFIDENCE = {
  /** Lock words read and checked, the cycle closed. */
  deadlockLocks: 0.97,
  /** Each end of a cycle of pipes waits for the other. */
  deadlockPipes: 0.85,
  /** Sockets carry both directions: two idle ends look like a cycle. */
  deadlockSockets: 0.6,
  stopped: 0.97,
  frozen: 0.95,
  traced: 0.9,
  /** Two or more timeouts in a row on data in flight, for three seconds and more. */
  pathDown: 0.95,
  /** One timeout, or a few in a moment: the next resend may get through. */
  firstTimeout: 0.75,
  connectTimeout: 0.93,
  /** … by whoever tries again and sleeps in between. */
  connectAgain: 0.78,
  zeroWindow: 0.88,
  lossyFlow: 0.75,
  crashSignal: 0.97,
  crashCode: 0.95,
  /** It ended by itself, and whether what it wrote to took any more is not known. */
  crashUnexplained: 0.75,
  oomKill: 0.97,
  diskWait: 0.8,
  /** … on a device that counts its requests and has none: something above it holds this one back. */
  diskWaitIdle: 0.72,
  deviceGone: 0.95,
  /** … and a process has it open; whether it needs it is not seen. */
  deviceGoneOpen: 0.78,
  ioError: 0.93,
  /** A filesystem lets nothing through, and its device has nothing to do. */
  filesystemHolds: 0.75,
  /** By the kernel log, which does not say whose it was: of the only user, and of one of several. */
  loggedError: 0.8,
  loggedAmongOthers: 0.5,
  /** A request seen in flight for a second and more. */
  stuckRequest: 0.93,
  /** Far slower than it used to be; slow, by what is not known to be unusual. */
  slowerDevice: 0.88,
  slowDevice: 0.78,
  serverSilent: 0.92,
  readOnly: 0.88,
  diskFull: 0.82,
  cpuThrottled: 0.9,
  cpuStarved: 0.88,
  memoryLimit: 0.88,
  memoryPressure: 0.75,
  /** A soft lockup names the thread; a stall only its CPU. */
  kernelLockup: 0.9,
  kernelStall: 0.8,
  /** It hangs, surely; for whom is not known. */
  hungTask: 0.8,
  memoryFailure: 0.97,
  gpuLost: 0.97,
  gpuGone: 0.93,
  /** Hardware or driver, by its number; a fault of a program, by the driver's word on which. */
  xid: 0.95,
  xidOfProgram: 0.88,
  /** Faults as of programs, again and again on this GPU and on no other. */
  xidAgain: 0.75,
  gpuMemory: 0.92,
  rowRemap: 0.85,
  nvlinkDown: 0.85,
  nvswitch: 0.8,
  gpuUnavailable: 0.8,
  /** Its driver does not answer us; it may well answer others. */
  gpuHung: 0.75,
  gpuThrottled: 0.8,
  /** It ended with an error while a GPU of it had just been filled; it waits, and others have the memory. */
  gpuOomDied: 0.75,
  gpuOomWaits: 0.6,
  gpuSymptom: 0.6,
  /** Retries in a row without an answer; the first of them; none left. */
  rdmaNoAnswer: 0.93,
  rdmaFirstRetry: 0.75,
  rdmaGaveUp: 0.95,
  /** RNR NAKs without a pause; now and then, again and again. */
  rdmaNotReady: 0.9,
  rdmaOftenNotReady: 0.72,
  /** The port of a queue pair that is in trouble is down; of one of which nothing is known. */
  rdmaPortDown: 0.95,
  rdmaPortDownQuiet: 0.8,
  rdmaDeviceFatal: 0.93,
  /** It went down and up again around what it is to explain; again and again. */
  rdmaPortWasDown: 0.85,
  rdmaFlapping: 0.82,
  /** A work request failed for what one of the programs did. */
  rdmaRequestError: 0.85,
  rdmaRefused: 0.85,
  rdmaConnect: 0.88,
  rdmaLoss: 0.75,
  /** Retries that the device counts by port: for its only queue pair, for one of a process's, for one of several's. */
  rdmaPortRetries: 0.82,
  rdmaPortRetriesOwn: 0.72,
  rdmaPortRetriesShared: 0.45,
  rdmaCongestion: 0.4,
  /** The process at the other end, on this node, has died, or closed its end. */
  rdmaPeerDied: 0.95,
  rdmaPeerClosed: 0.85,
  /** The only holder of the other end sleeps. */
  peerSleeps: 0.75,
  /** … waits for something that is not known. */
  peerIdle: 0.65,
  /** … computes. */
  peerRuns: 0.65,
  lockHeld: 0.8,
  /**
   * No cause is named. The chain leaves this node, and all of it that is here shows no fault: wrong only if something
   * here was overlooked. It stays here, with one of several or in a moment that is too short to tell: one of them is it.
   */
  waitsForRemotePeer: 0.75,
  oneOfThem: 0.6,
  /** It holds an idle GPU, and whom it waits for is not known. */
  gpuIdle: 0.5,
  /** It has enqueued fewer collectives than another rank, and does nothing that would explain it. */
  rankBehind: 0.8,
  /** A thread waits for a GPU, and what the GPU waits for is not on this node. */
  gpuSync: 0.5,
  healthyRunning: 0.9,
  /** It sleeps by the clock or for whoever connects: nobody in particular is late. In a set of descriptors one may be. */
  healthyAsleep: 0.75,
  healthyIdle: 0.6,
} as const;

/** Factors for what a chain has to assume on its way. */
export const DISCOUNT = {
  /** The main thread waits on a condition; a sibling's wait is taken as the reason. */
  sibling: 0.97,
  /** Several processes hold the other end; one has evidence of its own. */
  oneOfSeveral: 0.85,
  /** A queue pair is in trouble, others of the process are not, and it uses the CPU: it may well get on. */
  otherQueuePairs: 0.85,
  /** Whether it polls for its peer or computes is not known: both use the CPU. */
  pollsOrComputes: 0.85,
  /** The main thread is stuck, but other threads of the process use the CPU. */
  othersRun: 0.85,
  /** It ended of what was wrong with something that it used: likely, and not seen. */
  atItsEnd: 0.9,
  /** The fault began after the wait that it explains. */
  lateFault: 0.85,
} as const;
