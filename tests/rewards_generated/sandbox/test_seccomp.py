"""The filter program, run by an interpreter of classic BPF written from the kernel's description."""

from __future__ import annotations

import errno
import struct

import pytest

from rewards_generated.sandbox import seccomp

ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
ALLOW, KILL, EPERM, ENOSYS = 0x7FFF0000, 0x80000000, 0x50000 | errno.EPERM, 0x50000 | errno.ENOSYS


def verdict(program: bytes, number: int, architecture: int, arguments: tuple[int, ...] = (0,) * 6) -> int:
    """What the kernel would return for one system call."""
    data = struct.pack("<iIQ6Q", number, architecture, 0, *arguments)
    accumulator, at = 0, 0
    instructions = list(struct.iter_unpack("<HBBI", program))
    while True:
        code, yes, no, constant = instructions[at]
        at += 1
        if code == 0x20:
            (accumulator,) = struct.unpack_from("<I", data, constant)
        elif code == 0x06:
            return int(constant)
        else:
            taken = {0x15: accumulator == constant, 0x35: accumulator >= constant, 0x45: bool(accumulator & constant)}
            at += yes if taken[code] else no


@pytest.mark.parametrize("machine", ARCHITECTURES)
@pytest.mark.parametrize("zygote", [False, True])
def test_every_system_call_gets_the_verdict_of_the_lists(machine: str, zygote: bool) -> None:
    program = seccomp.filter_program(zygote, machine)
    expected = dict.fromkeys(range(600), EPERM)
    for names, outcome in (
        (seccomp.KILLING, KILL),
        (seccomp.ALLOWED + seccomp.ALLOWED_WITHOUT_EXEC, ALLOW),
        (seccomp.ZYGOTE if zygote else (), ALLOW),
        (("clone3",), ENOSYS),
    ):
        for name in names:
            number = seccomp.system_call_number(name, machine)
            if number is not None:
                expected[number] = outcome
    found = {number: verdict(program, number, ARCHITECTURES[machine]) for number in expected}
    assert found == expected


@pytest.mark.parametrize("machine", ARCHITECTURES)
@pytest.mark.parametrize("name", seccomp.ALLOWED_WITHOUT_EXEC)
def test_executable_memory_is_refused(machine: str, name: str) -> None:
    program = seccomp.filter_program(False, machine)
    number = seccomp.system_call_number(name, machine)
    assert number is not None
    for protection in range(8):
        outcome = verdict(program, number, ARCHITECTURES[machine], (0, 4096, protection, 0, 0, 0))
        assert outcome == (EPERM if protection & 4 else ALLOW)


@pytest.mark.parametrize("machine", ARCHITECTURES)
def test_another_architecture_kills(machine: str) -> None:
    program = seccomp.filter_program(False, machine)
    for architecture in (0x40000003, 0x40000028, *set(ARCHITECTURES.values()) - {ARCHITECTURES[machine]}):
        assert verdict(program, 1, architecture) == KILL


def test_the_x32_interface_kills() -> None:
    program = seccomp.filter_program(False, "x86_64")
    assert verdict(program, 0x40000000, ARCHITECTURES["x86_64"]) == KILL
    assert verdict(program, 0x40000000 | 2, ARCHITECTURES["x86_64"]) == KILL


def test_the_numbers_of_an_architecture_are_distinct() -> None:
    for machine in ARCHITECTURES:
        names = {*seccomp.ALLOWED, *seccomp.ALLOWED_WITHOUT_EXEC, *seccomp.ZYGOTE, *seccomp.KILLING, "clone3"}
        numbers = [seccomp.system_call_number(name, machine) for name in names]
        known = [number for number in numbers if number is not None]
        assert len(known) == len(set(known))
