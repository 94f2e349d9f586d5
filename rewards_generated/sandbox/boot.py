"""The worker's own program: start clean, import, seal, then score what the private pipe asks for.

Run as `python -S -s -P boot.py REQUEST_FD REPLY_FD PARENT_PID TURN_FD STATUS_FD`, never imported by the parent. It
needs nothing but the standard library; what the seal consists of (filter programs, rule set, limits) comes ready-made
in the set-up frame of the trusted parent. The frames are described in `protocol.py`.
"""

from __future__ import annotations

import array
import contextlib
import ctypes
import gc
import importlib
import inspect
import io
import json
import mmap
import os
import random
import resource
import select
import signal
import struct
import sys
import time
import types
from typing import Any

HEADER = struct.Struct("<c8sI")
REQUEST = struct.Struct("<8sIIQ")
SLOT = struct.Struct("<I200s")
SLOTS = 8
REPEATED = 2**32 - 1
MISSING = 2**32 - 2
ERROR_BYTES = 2000
LIMIT = 1_000_000
SCORED, RAISED, REFUSED = 0, 1, 2
MODULE = "reward_module"

Columns = list[list[Any]]
"""Prompts, completions, answers; then, for a reward that asks for them, worked solutions; then, for one that sees whole
groups, the names of groups."""
Request = tuple[bytes, int, int, memoryview]
"""Nonce, number of samples, bytes of the lengths, body."""

LIBC = ctypes.CDLL(None, use_errno=True)
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 1, 4, 22, 38
CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWNET = 0x08000000, 0x10000000, 0x40000000
NOBODY = 65534
MAP_FIXED = 0x10
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3


def read_exactly(fd: int, size: int) -> bytes | None:
    """`size` bytes from the pipe, or None where it ended first."""
    whole = os.read(fd, size)
    if len(whole) == size:
        return whole
    parts, have = [whole], len(whole)
    while have < size:
        part = os.read(fd, size - have)
        if not part:
            return None
        parts.append(part)
        have += len(part)
    return b"".join(parts)


def write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def watch_parent(expected: int) -> None:
    """Die with the process that started this one, also if it is gone already."""
    if sys.platform == "linux":
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != expected:
        os._exit(1)


def set_limit(which: int, value: int) -> None:
    """Lower a limit for good; a value above the inherited hard limit becomes that one."""
    _, hard = resource.getrlimit(which)
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(which, (value, value))


def isolate() -> tuple[bool, bool, bool]:
    """Own network and IPC, an empty root directory, no privilege; whether each of the three was permitted."""
    network = LIBC.unshare(CLONE_NEWNET | CLONE_NEWIPC) == 0
    if not network:
        network = LIBC.unshare(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWIPC) == 0
    root = user = False
    with contextlib.suppress(OSError):
        os.chroot(".")
        os.chdir("/")
        root = True
    if os.getuid() == 0:
        with contextlib.suppress(OSError):
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
            user = True
    header = struct.pack("<Ii", 0x20080522, 0)
    LIBC.capset(header, bytes(24))
    return network, root, user


def restrict_files(ruleset: bytes) -> bool:
    """Put on the Landlock rule set and see that it bites: nothing can be opened, not even the directory we are in."""
    if not ruleset:
        return False
    fd = LIBC.syscall(444, ruleset, ctypes.c_size_t(len(ruleset)), ctypes.c_uint(0))
    if fd < 0:
        return False
    done = LIBC.syscall(446, fd, ctypes.c_uint(0)) == 0
    os.close(fd)
    if not done:
        return False
    try:
        os.close(os.open("/", os.O_RDONLY | os.O_DIRECTORY))
    except PermissionError:
        return True
    return False


class FilterProgram(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p)]


def install_filter(program: bytes, seccomp_number: int) -> bool:
    """Install a seccomp filter for all threads; False where the kernel refuses."""
    if not program:
        return False
    argument = FilterProgram(len(program) // 8, program)
    if LIBC.syscall(seccomp_number, ctypes.c_uint(1), ctypes.c_uint(1), ctypes.byref(argument)) == 0:
        return True
    return bool(LIBC.prctl(PR_SET_SECCOMP, ctypes.c_ulong(2), ctypes.byref(argument), 0, 0) == 0)


def sanitised(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text).strip()


def type_name(value: object) -> str:
    """The name of a value's type; a metaclass of the reward's may make a trap of it."""
    try:
        return str(type(value).__name__)
    except BaseException:  # noqa: BLE001
        return "a nameless type"


def describe(error: BaseException) -> str:
    """One line about an exception of the reward's; whatever its __str__ does."""
    try:
        detail = str(error)[:500]
    except BaseException:  # noqa: BLE001
        detail = "(its text could not be made)"
    return f"raised {type_name(error)}: {detail}" if detail else f"raised {type_name(error)}"


def refusal(value: object) -> str:
    """Why a returned value is no score."""
    if type(value) is float:
        return f"returned {value!r}, not a finite number" if value - value != 0 else f"returned {value!r}, beyond 1e6"
    if type(value) is int:
        return "returned an int beyond 1e6"
    return f"returned {type_name(value)}, not a float"


def list_problem(results: object, count: int) -> str:
    """Why what a batch or group function returned is no list of so many values; empty: it is one."""
    if type(results) is not list and type(results) is not tuple:
        return f"returned {type_name(results)}, not a list"
    return "" if len(results) == count else f"returned {len(results)} values for {count} samples"


class Reward:
    """The reward's module and how its entry point is called."""

    def __init__(self, code: types.CodeType | None, setup: dict[str, Any], error: str | None) -> None:
        self.code = code
        self.name = setup["entry"]
        self.kind = setup["kind"]
        self.columns = setup["columns"]
        self.conversational = setup["conversational"]
        self.worked_solution = setup["worked_solution"]
        self.function: Any = None
        self.error = error

    def load(self) -> None:
        """Run the module; what it raises is kept as `error`."""
        if self.function is not None or self.error is not None or self.code is None:
            return
        module = types.ModuleType(MODULE)
        sys.modules[MODULE] = module
        try:
            exec(self.code, module.__dict__)  # noqa: S102
        except BaseException as error:  # noqa: BLE001
            self.error = "the module " + describe(error)
            return
        function = module.__dict__.get(self.name)
        if not callable(function):
            self.error = f"the module defines no function {self.name}"
            return
        self.function = function

    def call_list(self, columns: Columns, start: int, end: int) -> Any:
        """What a batch or group function returns for these samples."""
        prompts, completions, answers, *further = (column[start:end] for column in columns)
        worked = {"worked_solution": further[0]} if self.worked_solution else {}
        if self.kind == "group":
            named = {name: texts[0] for name, texts in worked.items()}
            return self.function(prompts[0], completions, answers[0], **named)
        return self.function(**self.arguments(prompts, completions, answers, worked))

    def arguments(
        self, prompts: list[Any], completions: list[Any], answers: list[str], worked: dict[str, Any]
    ) -> dict[str, Any]:
        """Keyword arguments of a batch function: those it accepts, or all if it takes **columns."""
        if self.conversational:
            prompts = [[{"role": "user", "content": text}] for text in prompts]
            completions = [[{"role": "assistant", "content": text}] for text in completions]
        offered: dict[str, Any] = {"prompts": prompts, "completions": completions}
        offered.update((column, list(answers)) for column in self.columns)
        offered.update(worked)
        parameters = inspect.signature(self.function).parameters
        if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values()):
            return offered
        return {name: value for name, value in offered.items() if name in parameters}


def unpack(columns_length: int, count: int, body: memoryview) -> Columns:
    """The columns of a request: the lengths in bytes, then the texts."""
    lengths = array.array("I")
    lengths.frombytes(body[:columns_length])
    if sys.byteorder == "big":
        lengths.byteswap()
    pieces: list[Any] = []
    text: str | None = None
    start = columns_length
    append = pieces.append
    for length in lengths:
        if length == MISSING:
            text = None
        elif length != REPEATED:
            end = start + length
            text = str(body[start:end], "utf-8", "surrogatepass")
            start = end
        append(text)
    return [pieces[start : start + count] for start in range(0, len(pieces), count)]


def spans(groups: list[str]) -> list[tuple[int, int]]:
    """First place of each group and the place behind its last."""
    starts = [place for place in range(len(groups)) if place == 0 or groups[place] != groups[place - 1]]
    return list(zip(starts, [*starts[1:], len(groups)], strict=True))


def frame(status: bytes, nonce: bytes, payload: bytes) -> bytes:
    return HEADER.pack(status, nonce, len(payload)) + payload


def failure(nonce: bytes, text: str) -> bytes:
    return frame(b"E", nonce, sanitised(text).encode("utf-8", "replace")[:ERROR_BYTES])


def evaluate(reward: Reward, request: Request) -> bytes:
    """Score one request; the reply frame."""
    nonce, count, columns_length, body = request
    reward.load()
    if reward.error is not None:
        return failure(nonce, reward.error)
    values = array.array("d", bytes(8 * count))
    statuses = bytearray(count)
    failures: list[tuple[int, str]] = []

    def fail(index: int, status: int, text: str) -> None:
        statuses[index] = status
        values[index] = float("nan")
        if len(failures) < SLOTS:
            failures.append((index, text))

    if count:
        columns = unpack(columns_length, count, body)
        function = reward.function
        if reward.kind != "sample":
            for start, end in spans(columns[-1]) if reward.kind == "group" else [(0, count)]:
                status, problem, results = RAISED, "", []
                try:
                    results = reward.call_list(columns, start, end)
                except BaseException as error:  # noqa: BLE001
                    problem = describe(error)
                else:
                    status, problem = REFUSED, list_problem(results, end - start)
                if problem and reward.kind == "batch":
                    return failure(nonce, problem)
                for index in range(start, end):
                    value = None if problem else results[index - start]
                    if (type(value) is float or type(value) is int) and -LIMIT <= value <= LIMIT:
                        values[index] = value
                    else:
                        fail(index, status if problem else REFUSED, problem or refusal(value))
        else:
            for index, (prompt, completion, answer) in enumerate(zip(*columns[:3], strict=True)):
                named = {"worked_solution": columns[3][index]} if reward.worked_solution else {}
                try:
                    value = function(prompt, completion, answer, **named)
                except BaseException as error:  # noqa: BLE001
                    fail(index, RAISED, describe(error))
                    continue
                if (type(value) is float or type(value) is int) and -LIMIT <= value <= LIMIT:
                    values[index] = value
                else:
                    fail(index, REFUSED, refusal(value))
    if sys.byteorder == "big":
        values.byteswap()
    if not failures:
        return frame(b"K", nonce, values.tobytes())
    failures += [(0, "")] * (SLOTS - len(failures))
    slots = b"".join(SLOT.pack(i, sanitised(text).encode("utf-8", "replace")[:200]) for i, text in failures)
    return frame(b"P", nonce, values.tobytes() + bytes(statuses) + slots)


class Requests:
    """The requests of the parent, read into one private buffer: fresh memory costs a page fault per 4 KiB."""

    def __init__(self, fd: int) -> None:
        self.pipe = io.FileIO(fd, "rb", closefd=False)
        self.buffer = private_memory(0)

    def prepare(self) -> None:
        """Have memory for an ordinary request at hand before it comes."""
        self.buffer = private_memory(2**16)

    def read(self) -> Request | None:
        """The next request; None at the end of the pipe."""
        head = read_exactly(self.pipe.fileno(), REQUEST.size)
        if head is None:
            return None
        nonce, count, columns_length, size = REQUEST.unpack(head)
        if size > len(self.buffer):
            self.buffer = private_memory(size + size // 4)
        whole = memoryview(self.buffer)[:size]
        have = 0
        while have < size:
            got = self.pipe.readinto(whole[have:])
            if not got:
                return None
            have += got
        return nonce, count, columns_length, whole


def private_memory(size: int) -> mmap.mmap:
    return mmap.mmap(-1, max(size, 1), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_POPULATE", 0))


def become_child(setup: dict[str, Any], zygote: int) -> None:
    """Seal a fork of the zygote once more, for the reward's own code."""
    watch_parent(zygote)
    random.seed(0)
    set_limit(resource.RLIMIT_CPU, setup["cpu_seconds"])
    set_limit(resource.RLIMIT_NPROC, 0)
    if setup["child_filter"] and not install_filter(setup["child_filter"], setup["seccomp"]):
        os._exit(1)


class Pipes:
    """Descriptors of the worker's four pipes. Children have the first two only."""

    def __init__(self, request: int, reply: int, turn: int, status: int) -> None:
        self.request, self.reply, self.turn, self.status = request, reply, turn, status


def score_once(reward: Reward, setup: dict[str, Any], pipes: Pipes, requests: Requests, zygote: int) -> None:
    """What a fork of the zygote does with its life."""
    os.close(pipes.turn)
    os.close(pipes.status)
    become_child(setup, zygote)
    requests.prepare()
    reward.load()
    request = requests.read()
    if request is not None:
        write_all(pipes.reply, evaluate(reward, request))


def serve_forking(reward: Reward, setup: dict[str, Any], pipes: Pipes) -> None:
    """`default`: every request is read, scored and answered by a fork that dies of it. This process never runs the
    reward's code, and nothing that a fork writes or leaves behind comes into its memory: the next fork starts from the
    same pages. How a fork ended goes from the kernel to the parent through memory that is wiped.

    The next fork is made while the parent is busy elsewhere, so that its start costs no waiting.
    """
    gc.collect()
    gc.freeze()
    zygote = os.getpid()
    requests = Requests(pipes.request)
    ended = (ctypes.c_int * 2)()
    unread = struct.pack("<ihh", pipes.request, select.POLLIN, 0)
    turn = ctypes.create_string_buffer(1)
    while True:
        if os.fork() == 0:
            try:
                score_once(reward, setup, pipes, requests, zygote)
            finally:
                os._exit(0)
        LIBC.wait4(-1, ctypes.byref(ended), 0, None)
        # What a fork left of its request would tell the next one something: that ends the worker.
        left = LIBC.poll(unread, 1, 0)
        ended[1] = left
        LIBC.write(pipes.status, ctypes.byref(ended), 8)
        ctypes.memset(ended, 0, 8)
        if left or LIBC.read(pipes.turn, turn, 1) != 1:
            return


def serve_directly(reward: Reward, setup: dict[str, Any], pipes: Pipes) -> None:
    """`fast`: one sealed process scores all requests."""
    os.close(pipes.turn)
    os.close(pipes.status)
    requests = Requests(pipes.request)
    requests.prepare()
    random.seed(0)
    while (request := requests.read()) is not None:
        write_all(pipes.reply, evaluate(reward, request))


def clock_pages() -> list[tuple[int, int]]:
    """First address and length of the pages through which clocks are read without a system call."""
    if sys.platform != "linux":
        return []
    with contextlib.suppress(OSError), open("/proc/self/maps", encoding="utf-8") as maps:
        spans = [line.split()[0].split("-") for line in maps if "[vvar" in line]
        return [(int(start, 16), int(end, 16) - int(start, 16)) for start, end in spans]
    return []


def stop_clock(pages: list[tuple[int, int]]) -> None:
    """From here on Python's clocks stand at 0, and what goes around them is refused or reads 0 as well.

    Blank pages in the place of the kernel's make the C library fall back to system calls, which the filter refuses.
    """
    for name in ("time", "monotonic", "perf_counter", "process_time", "thread_time"):
        setattr(time, name, lambda: 0.0)
        setattr(time, f"{name}_ns", lambda: 0)
    mapped = LIBC.mmap
    mapped.restype = ctypes.c_void_p
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_FIXED
    for address, length in pages:
        mapped(ctypes.c_void_p(address), ctypes.c_size_t(length), mmap.PROT_READ, flags, -1, ctypes.c_long(0))


def preload(program: str, paths: list[str]) -> str | None:
    """Run the trusted program that imports packages before the seal; what it raises is a problem of the reward."""
    if not program:
        return None
    try:
        names: dict[str, Any] = {"__name__": "preload"}
        exec(compile(program, "preload", "exec"), names)  # noqa: S102
        names["load"](paths)
    except Exception as error:  # noqa: BLE001
        return "a package that the code imports " + describe(error)
    return None


def main() -> None:
    request_fd, reply_fd, parent, turn_fd, status_fd = (int(argument) for argument in sys.argv[1:6])
    pipes = Pipes(request_fd, reply_fd, turn_fd, status_fd)
    watch_parent(parent)
    # Ignored by whoever started the parent, it would leave no exit code of a fork.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    (size,) = struct.unpack("<I", read_exactly(request_fd, 4) or bytes(4))
    setup = json.loads(read_exactly(request_fd, size) or b"{}")
    clock = clock_pages()
    for name in ("filter", "child_filter", "ruleset", "nonce"):
        setup[name] = bytes.fromhex(setup[name])
    for name in setup["modules"]:
        importlib.import_module(name)
    problem = preload(setup["preload"], setup["paths"])
    sys.path.clear()
    os.environ.clear()
    linux = sys.platform == "linux"
    if linux:
        LIBC.mallopt(M_TRIM_THRESHOLD, 2**28)
        LIBC.mallopt(M_MMAP_THRESHOLD, 2**25)
    network, root, user = isolate() if linux and setup["isolation"] else (False, False, False)
    for which, value in setup["limits"]:
        try:
            set_limit(which, value)
        except (OSError, ValueError):
            if linux:
                raise
    sealed = False
    restricted = False
    if linux:
        LIBC.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        LIBC.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
        # A change of credentials clears the death signal, so it is set again.
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        restricted = restrict_files(setup["ruleset"])
        if setup["filter"]:
            stop_clock(clock)
        if setup["mode"] == "fast":
            set_limit(resource.RLIMIT_NPROC, 0)
        sealed = install_filter(setup["filter"], setup["seccomp"])
        if not sealed:
            setup["child_filter"] = b""
    code = None
    try:
        code = compile(setup["code"], MODULE, "exec", dont_inherit=True)
    except BaseException as error:  # noqa: BLE001
        problem = "the module " + describe(error)
    reward = Reward(code, setup, problem)
    facts = struct.pack("<5d", sealed, restricted, network, root, user)
    serve = serve_forking if setup["mode"] == "default" else serve_directly
    write_all(reply_fd, frame(b"R", setup["nonce"], facts))
    serve(reward, setup, pipes)


main()
