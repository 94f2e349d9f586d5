"""The system-call filter of a worker, as the bytes of a classic BPF program.

The program is made here, in the trusted parent, and installed by the worker: see seccomp(2) and the kernel's
`Documentation/userspace-api/seccomp_filter.rst`. The table of aarch64 is untested.
"""

from __future__ import annotations

import errno
import platform
import struct


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


ALLOWED = _names(
    "read write close poll ppoll select pselect6 lseek munmap brk mremap madvise rt_sigaction rt_sigprocmask "
    "rt_sigreturn sched_yield setitimer futex restart_syscall exit exit_group sigaltstack rseq membarrier"
)
"""No clock, no randomness, no process id and no facts about descriptors: they would tell one call from another."""
ALLOWED_WITHOUT_EXEC = ("mmap", "mprotect")
ZYGOTE = _names("fork clone wait4 prctl seccomp prlimit64 getppid set_robust_list getpid gettid getrandom fstat")
"""What the zygote needs to fork a worker and to seal it; it never runs a reward's code itself."""
KILLING = _names(
    "socket connect socketpair fork vfork execve execveat ptrace kill bpf io_uring_setup io_uring_enter "
    "io_uring_register process_vm_readv process_vm_writev unshare setns mount pidfd_open pidfd_send_signal pidfd_getfd "
    "perf_event_open userfaultfd keyctl add_key request_key"
)
"""No ordinary code comes here, so that death by SIGSYS names an attempt to break out."""

_COMMON = {
    "rseq": (334, 293),
    "pidfd_send_signal": (424, 424),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "pidfd_open": (434, 434),
    "clone3": (435, 435),
    "pidfd_getfd": (438, 438),
}
_NUMBERS: dict[str, tuple[int | None, int | None]] = {
    **_COMMON,
    "read": (0, 63),
    "write": (1, 64),
    "close": (3, 57),
    "fstat": (5, 80),
    "poll": (7, None),
    "lseek": (8, 62),
    "mmap": (9, 222),
    "mprotect": (10, 226),
    "munmap": (11, 215),
    "brk": (12, 214),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "select": (23, None),
    "sched_yield": (24, 124),
    "mremap": (25, 216),
    "madvise": (28, 233),
    "nanosleep": (35, 101),
    "setitimer": (38, 103),
    "getpid": (39, 172),
    "socket": (41, 198),
    "connect": (42, 203),
    "socketpair": (53, 199),
    "clone": (56, 220),
    "fork": (57, None),
    "vfork": (58, None),
    "execve": (59, 221),
    "exit": (60, 93),
    "wait4": (61, 260),
    "kill": (62, 129),
    "gettimeofday": (96, 169),
    "getrusage": (98, 165),
    "times": (100, 153),
    "ptrace": (101, 117),
    "getppid": (110, 173),
    "sigaltstack": (131, 132),
    "prctl": (157, 167),
    "mount": (165, 40),
    "gettid": (186, 178),
    "time": (201, None),
    "futex": (202, 98),
    "restart_syscall": (219, 128),
    "clock_gettime": (228, 113),
    "clock_getres": (229, 114),
    "clock_nanosleep": (230, 115),
    "exit_group": (231, 94),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "pselect6": (270, 72),
    "ppoll": (271, 73),
    "unshare": (272, 97),
    "set_robust_list": (273, 99),
    "pipe2": (293, 59),
    "perf_event_open": (298, 241),
    "prlimit64": (302, 261),
    "setns": (308, 268),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "seccomp": (317, 277),
    "getrandom": (318, 278),
    "bpf": (321, 280),
    "execveat": (322, 281),
    "userfaultfd": (323, 282),
    "membarrier": (324, 283),
}
"""System-call numbers on x86_64 and aarch64; None where the architecture has no such call."""

_ARCHITECTURES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}
_X32_BIT = 0x40000000
_PROT_EXEC = 4

_RETURN_ALLOW = 0x7FFF0000
_RETURN_KILL = 0x80000000
_RETURN_EPERM = 0x00050000 | errno.EPERM
_RETURN_ENOSYS = 0x00050000 | errno.ENOSYS

_LOAD = 0x20
_JUMP_EQUAL = 0x15
_JUMP_GREATER_OR_EQUAL = 0x35
_JUMP_SET = 0x45
_RETURN = 0x06
_OFFSET_NUMBER, _OFFSET_ARCHITECTURE, _OFFSET_ARGUMENT_2 = 0, 4, 32


def system_call_number(name: str, machine: str | None = None) -> int | None:
    """The number of a call on this architecture (`platform.machine()`), None where there is none."""
    column = _ARCHITECTURES[machine or platform.machine()][1]
    return _NUMBERS[name][column]


def supported(machine: str | None = None) -> bool:
    """Whether there is a table for this architecture."""
    return (machine or platform.machine()) in _ARCHITECTURES


def filter_program(zygote: bool, machine: str | None = None) -> bytes:
    """The filter of the zygote or of the process that runs the reward, as packed `struct sock_filter`.

    Wrong architecture and x32 kill; the named calls are allowed, mmap and mprotect unless they ask for executable
    memory; KILLING kills the process; clone3 fails with ENOSYS, so that the C library falls back; all else with EPERM.
    """
    machine = machine or platform.machine()
    audit_architecture, _ = _ARCHITECTURES[machine]

    def numbers(names: tuple[str, ...]) -> list[int]:
        found = (system_call_number(name, machine) for name in names)
        return [number for number in found if number is not None]

    program = [
        (_LOAD, 0, 0, _OFFSET_ARCHITECTURE),
        (_JUMP_EQUAL, 1, 0, audit_architecture),
        (_RETURN, 0, 0, _RETURN_KILL),
        (_LOAD, 0, 0, _OFFSET_NUMBER),
        (_JUMP_GREATER_OR_EQUAL, 0, 1, _X32_BIT),
        (_RETURN, 0, 0, _RETURN_KILL),
    ]

    def answer(names: tuple[str, ...], verdict: int) -> None:
        for number in numbers(names):
            program.extend([(_JUMP_EQUAL, 0, 1, number), (_RETURN, 0, 0, verdict)])

    answer(ALLOWED + ZYGOTE if zygote else ALLOWED, _RETURN_ALLOW)
    for number in numbers(ALLOWED_WITHOUT_EXEC):
        program.extend(
            [
                (_JUMP_EQUAL, 0, 4, number),
                (_LOAD, 0, 0, _OFFSET_ARGUMENT_2),
                (_JUMP_SET, 0, 1, _PROT_EXEC),
                (_RETURN, 0, 0, _RETURN_EPERM),
                (_RETURN, 0, 0, _RETURN_ALLOW),
            ]
        )
    answer(tuple(name for name in KILLING if not (zygote and name in ZYGOTE)), _RETURN_KILL)
    answer(("clone3",), _RETURN_ENOSYS)
    program.append((_RETURN, 0, 0, _RETURN_EPERM))
    return b"".join(struct.pack("<HBBI", *instruction) for instruction in program)
