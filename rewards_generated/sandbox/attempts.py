"""What the self-test worker tries, one forbidden thing per call; a module that runs as a reward, never imported.

`reward(attempt, arguments, "")` is 1.0 if the attempt succeeded and 0.0 if it was refused; the kernel may also kill it.
"""

import ctypes
import os

C = ctypes.CDLL(None, use_errno=True)


def read_file(path: str) -> bool:
    with open(path) as file:
        return bool(file.read())


def write_file(path: str) -> bool:
    with open(path, "a") as file:
        file.write("written")
    return True


def read_parent_environment(pid: str) -> bool:
    with open(f"/proc/{pid}/environ", "rb") as file:
        file.read(1)
    return True


def connect(port: str) -> bool:
    address = (2).to_bytes(2, "little") + int(port).to_bytes(2, "big") + bytes([127, 0, 0, 1]) + bytes(8)
    descriptor = C.socket(2, 1, 0)
    return bool(descriptor >= 0 and C.connect(descriptor, address, 16) == 0)


def create_socket(_: str) -> bool:
    return bool(C.socket(1, 1, 0) >= 0)


def fork(_: str) -> bool:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    return True


def execute(_: str) -> bool:
    os.execv("/bin/true", ["/bin/true"])
    return True


def start_thread(_: str) -> bool:
    import _thread

    _thread.start_new_thread(int, ())
    return True


def signal_parent(pid: str) -> bool:
    os.kill(int(pid), 0)
    return True


def trace_parent(pid: str) -> bool:
    # PTRACE_SEIZE, because PTRACE_ATTACH would leave the parent stopped where nothing forbids it.
    return bool(C.ptrace(0x4206, int(pid), None, None) == 0)


def leave_group(_: str) -> bool:
    os.setsid()
    return True


def executable_memory(_: str) -> bool:
    C.mmap.restype = ctypes.c_void_p
    return bool(C.mmap(None, 4096, 7, 0x22, -1, 0) != ctypes.c_void_p(-1).value)


def exceed_memory(size: str) -> bool:
    return len(b"x" * int(size)) > 0


def environment(_: str) -> bool:
    return any(key not in ("LC_CTYPE",) for key in os.environ)


def reward(prompt: str, completion: str, answer: str) -> float:
    try:
        return 1.0 if globals()[prompt](completion) else 0.0
    except (OSError, MemoryError, RuntimeError, ImportError):
        return 0.0
