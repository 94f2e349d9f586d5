"""The worker's own program: start clean, import, seal, then score what the private pipe asks for.

Run as `python -S -s -P boot.py REQUEST_FD REPLY_FD PARENT_PID`, never imported by the parent. It needs nothing but the
standard library; what the seal consists of (filter programs, rule set, limits) comes ready-made in the set-up frame of
the trusted parent. The frames are described in `protocol.py`.
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
import resource
import signal
import struct
import sys
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
    """The requests of the parent, read into one buffer that is kept: fresh memory costs a page fault per 4 KiB.

    The buffer is shared with forks. It is wiped after use, so that no fork sees the texts of an earlier batch.
    """

    def __init__(self, fd: int) -> None:
        self.pipe = io.FileIO(fd, "rb", closefd=False)
        self.buffer = mmap.mmap(-1, 2**20)

    def read(self) -> bytes | None:
        """The head of the next request, whose body is in the buffer then; None at the end of the pipe."""
        head = read_exactly(self.pipe.fileno(), REQUEST.size)
        if head is None:
            return None
        size = REQUEST.unpack(head)[3]
        if size > len(self.buffer):
            self.buffer = mmap.mmap(-1, size + size // 4)
        with memoryview(self.buffer) as whole, whole[:size] as body:
            have = 0
            while have < size:
                with body[have:] as rest:
                    got = self.pipe.readinto(rest)
                if not got:
                    return None
                have += got
        return head

    def request(self, head: bytes) -> Request:
        nonce, count, columns_length, size = REQUEST.unpack(head)
        return nonce, count, columns_length, memoryview(self.buffer)[:size]

    def wipe(self, head: bytes) -> None:
        size = REQUEST.unpack(head)[3]
        if size:
            address = ctypes.addressof(ctypes.c_char.from_buffer(self.buffer))
            ctypes.memset(address, 0, size)


def expected_length(status: bytes, count: int) -> int | None:
    """Exact payload length of a reply, or None for a status that does not exist."""
    return {b"K": 8 * count, b"P": 9 * count + SLOTS * SLOT.size}.get(status)


def child_reply(fd: int, nonce: bytes, count: int) -> bytes | None:
    """The one frame of a child, checked as the parent will check it; None if it is anything else."""
    head = read_exactly(fd, HEADER.size)
    if head is None:
        return None
    status, echoed, length = HEADER.unpack(head)
    sized = length <= ERROR_BYTES if status == b"E" else length == expected_length(status, count)
    if echoed != nonce or not sized:
        return None
    payload = read_exactly(fd, length) if length else b""
    return None if payload is None else head + payload


def become_child(setup: dict[str, Any], zygote: int) -> None:
    """Seal a fork of the zygote once more, for the reward's own code."""
    watch_parent(zygote)
    set_limit(resource.RLIMIT_CPU, setup["cpu_seconds"])
    set_limit(resource.RLIMIT_NPROC, 0)
    if setup["child_filter"] and not install_filter(setup["child_filter"], setup["seccomp"]):
        os._exit(1)


class Child:
    """A fork that has sealed itself and loaded the reward, and waits for the one request that it will score."""

    def __init__(self, reward: Reward, setup: dict[str, Any], requests: Requests, reply_fd: int) -> None:
        zygote = os.getpid()
        wake, self.wake = os.pipe()
        self.reply, reply = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                for fd in (requests.pipe.fileno(), reply_fd, self.wake, self.reply):
                    os.close(fd)
                become_child(setup, zygote)
                reward.load()
                head = read_exactly(wake, REQUEST.size)
                if head is not None:
                    write_all(reply, evaluate(reward, requests.request(head)))
            finally:
                os._exit(0)
        os.close(wake)
        os.close(reply)

    def score(self, head: bytes) -> bytes | None:
        """Its reply frame to the request in the buffer, or None if it sent anything else."""
        nonce, count, _, _ = REQUEST.unpack(head)
        with contextlib.suppress(BrokenPipeError):
            os.write(self.wake, head)
        return child_reply(self.reply, nonce, count)

    def end(self, kill: bool) -> int:
        """Wait for its end; its exit code."""
        os.close(self.wake)
        os.close(self.reply)
        if kill:
            os.kill(self.pid, signal.SIGKILL)
        _, status = os.waitpid(self.pid, 0)
        return os.waitstatus_to_exitcode(status)


def serve_forking(reward: Reward, setup: dict[str, Any], request_fd: int, reply_fd: int) -> None:
    """`default`: every request is scored by a fork that dies with it; this process never runs the reward's code.

    The next fork is made while the parent is busy elsewhere, so that its start costs no waiting.
    """
    gc.collect()
    gc.freeze()
    requests = Requests(request_fd)
    buffer = requests.buffer
    child = Child(reward, setup, requests, reply_fd)
    while (head := requests.read()) is not None:
        if requests.buffer is not buffer:
            buffer = requests.buffer
            child.end(kill=True)
            child = Child(reward, setup, requests, reply_fd)
        reply = child.score(head)
        if reply is not None:
            write_all(reply_fd, reply)
            child.end(kill=True)
        else:
            # Without a frame it has closed its pipe or is dead; one that lives on is for the parent's clock.
            code = child.end(kill=False)
            write_all(reply_fd, frame(b"D", head[:8], struct.pack("<d", float(code))))
        requests.wipe(head)
        child = Child(reward, setup, requests, reply_fd)


def serve_directly(reward: Reward, setup: dict[str, Any], request_fd: int, reply_fd: int) -> None:
    """`fast`: one sealed process scores all requests."""
    requests = Requests(request_fd)
    while (head := requests.read()) is not None:
        write_all(reply_fd, evaluate(reward, requests.request(head)))


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
    request_fd, reply_fd, parent = (int(argument) for argument in sys.argv[1:4])
    watch_parent(parent)
    (size,) = struct.unpack("<I", read_exactly(request_fd, 4) or bytes(4))
    setup = json.loads(read_exactly(request_fd, size) or b"{}")
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
    serve(reward, setup, request_fd, reply_fd)


main()
