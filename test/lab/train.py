"""A rank of a real training: PyTorch's DistributedDataParallel over gloo, fed by a DataLoader worker process.

Arguments, key=value: path (what its worker reads, a block for each sample; none: made up), pace_ms (between two steps).
Started by torchrun, which tells it by the environment who it is.
Prints `ready pid= tid= kind=worker|all|step …` like the C workloads.

SIGUSR1: raises an exception at the next step. SIGUSR2: two of its threads lock each other out.
SIGUSR1 to its worker: it keeps 4 MiB more with each sample, and is the one to be killed when there are none left.
"""

import ctypes
import datetime
import mmap
import os
import random
import signal
import sys
import threading
import time

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, IterableDataset

ARGS = dict(word.split("=", 1) for word in sys.argv[1:])
PATH = ARGS.get("path", "")
PACE_S = int(ARGS.get("pace_ms", "20")) / 1000
BLOCK = 65536
HOG = 4 << 20
PR_SET_PDEATHSIG = 1

asked = set()


def say(kind, **fields):
    words = "".join(f" {key}={value}" for key, value in fields.items())
    line = f"ready pid={os.getpid()} tid={threading.get_native_id()} kind={kind}{words}\n"
    os.write(1, line.encode())


class Blocks(IterableDataset):
    def __iter__(self):
        kept = []
        # A page of its own: past the page cache only what is aligned can be read.
        block = mmap.mmap(-1, BLOCK)
        fd = os.open(PATH, os.O_RDONLY | os.O_DIRECT) if PATH else -1
        size = os.lseek(fd, 0, os.SEEK_END) if PATH else 0
        while True:
            if PATH:
                os.preadv(fd, [block], random.randrange(size // BLOCK) * BLOCK)
            if signal.SIGUSR1 in asked:
                kept.append(bytearray(os.urandom(4096)) * (HOG // 4096))
            yield torch.frombuffer(block, dtype=torch.uint8, count=1024).float()


def die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def start_worker(_):
    die_with_parent()
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    with open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")
    say("worker", worker=os.getpid())


def lock_out():
    one, other = threading.Lock(), threading.Lock()
    both = threading.Barrier(2)

    def take(first, second):
        with first:
            both.wait()
            with second:
                pass

    threading.Thread(target=take, args=(one, other), daemon=True).start()
    say("deadlock")
    take(other, one)


def main():
    die_with_parent()
    for number in (signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, lambda got, _: asked.add(got))
    torch.set_num_threads(1)
    dist.init_process_group("gloo", timeout=datetime.timedelta(hours=1))
    model = DistributedDataParallel(torch.nn.Linear(1024, 128))
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-6)
    loader = DataLoader(Blocks(), batch_size=4, num_workers=1, worker_init_fn=start_worker)
    say("all")
    for step, batch in enumerate(loader, 1):
        if signal.SIGUSR1 in asked:
            raise RuntimeError("the loss is not a number")
        if signal.SIGUSR2 in asked:
            lock_out()
        optimizer.zero_grad()
        model(batch).mean().backward()
        optimizer.step()
        if step == 1 or step % 20 == 0:
            say("step", step=step)
        time.sleep(PACE_S)


main()
