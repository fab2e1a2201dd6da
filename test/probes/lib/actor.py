"""A process with one socket that does what it is told, one line at a time, and answers each with a line."""
import ctypes, os, signal, socket, struct, sys

ctypes.CDLL(None).prctl(1, signal.SIGKILL)
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
sock = listener = None


def family(host):
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def child(what):
    """Forks; the child does `what` with the socket and then only holds it."""
    pid = os.fork()
    if pid:
        return pid
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    what()
    while True:
        signal.pause()


def send(n):
    sock.setblocking(False)
    sent = 0
    try:
        while sent < n:
            sent += sock.send(b"x" * min(65536, n - sent))
    except BlockingIOError:
        pass
    return sent


def block(n):
    sock.setblocking(True)
    sock.sendall(b"x" * n)


def drain():
    sock.setblocking(False)
    got = 0
    try:
        while data := sock.recv(1 << 20):
            got += len(data)
    except BlockingIOError:
        pass
    return got


for line in sys.stdin:
    word, *args = line.split()
    answer = "ok"
    if word == "listen":
        listener = socket.socket(family(args[0]))
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if len(args) > 1:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, int(args[1]))
        listener.bind((args[0], 0))
        listener.listen(16)
        answer = listener.getsockname()[1]
    elif word == "accept":
        sock = listener.accept()[0]
    elif word == "connect":
        sock = socket.socket(family(args[0]))
        try:
            sock.connect((args[0], int(args[1])))
            answer = sock.getsockname()[1]
        except OSError as error:
            answer = error.errno
    elif word == "start":
        sock = socket.socket(family(args[0]))
        sock.setblocking(False)
        sock.connect_ex((args[0], int(args[1])))
    elif word == "send":
        answer = send(int(args[0]))
    elif word == "drain":
        answer = drain()
    elif word == "hold":
        answer = child(lambda: None)
    elif word == "fork-send":
        answer = child(lambda: send(int(args[0])))
    elif word == "fork-block":
        answer = child(lambda: block(int(args[0])))
    elif word == "fork-use":
        answer = child(lambda: send(int(args[0])))
        sock.close()
    elif word == "close":
        sock.close()
    elif word == "abort":
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()
    elif word == "exit":
        os._exit(0)
    print(answer, flush=True)
