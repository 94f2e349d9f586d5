"""Rewards that try to tell one call from another: by what they left behind, by the clock, by chance, by counters.

Each gives back what it found, so that a value which changes from call to call is a breach. The modules that they
need are imported before the seal.
"""

from __future__ import annotations

import textwrap

_HEAD = "import ctypes, gc, json, mmap, os, random, select, struct, sys, time, datetime\n"


def _reward(body: str) -> str:
    body = textwrap.indent(textwrap.dedent(body).strip(), "    ")
    return f"{_HEAD}\ndef reward(prompt, completion, answer):\n{body}\n"


LEFT_BEHIND: dict[str, str] = {
    "module_list": _HEAD + "SEEN = []\n" + _reward("SEEN.append(1)\nreturn float(len(SEEN))").removeprefix(_HEAD),
    "request_buffer": _reward("""
        frame, values = sys._getframe(), []
        while frame is not None:
            values += list(frame.f_locals.values())
            frame = frame.f_back
        values += [getattr(value, 'buffer', None) for value in values]
        found = {id(v): v for v in values if isinstance(v, mmap.mmap) and len(v) > 8}
        count = 0
        for buffer in found.values():
            count = max(count, struct.unpack('<q', buffer[-8:])[0])
            buffer[-8:] = struct.pack('<q', count + 1)
        return float(count)
    """),
    "every_mapping": _reward("""
        count = 0
        for item in gc.get_objects():
            if isinstance(item, mmap.mmap) and len(item) > 8:
                count = max(count, struct.unpack('<q', item[-8:])[0])
                item[-8:] = struct.pack('<q', count + 1)
        return float(count)
    """),
    "last_reply": _reward("""
        frame, count = sys._getframe(), 0
        while frame is not None:
            for value in frame.f_locals.values():
                if type(value) is bytes and value[:1] == b'K' and len(value) == 21:
                    count = max(count, int(struct.unpack('<d', value[13:])[0]))
            frame = frame.f_back
        return float(count + 1)
    """),
    "heap": _reward("""
        libc, needle = ctypes.CDLL(None), b':' + b'KRAM'[::-1] + b':'
        libc.sbrk.restype = ctypes.c_void_p
        end = libc.sbrk(ctypes.c_long(0))
        text = ctypes.string_at(end - 2 ** 20, 2 ** 20)
        found = [int(part[:4]) for part in text.split(needle)[1:] if part[:4].isdigit()]
        mark = (needle + b'%04d' % (max(found, default=0) + 1)).decode()
        if completion == 'mark':
            raise ValueError(mark * 40)
        return float(max(found, default=0))
    """),
    "unread_request": _HEAD
    + textwrap.dedent("""
        def answer_alone():
            request, reply = (int(text) for text in sys.argv[1:3])
            start = os.read(request, 4)
            left = start in (b'text', b'mark')
            head = os.read(request, 24) if left else start + os.read(request, 20)
            nonce, count, packed, size = struct.unpack('<8sIIQ', head)
            os.read(request, size - 4)
            os.write(reply, struct.pack('<c8sId', b'K', nonce, 8, 1.0 + left))
            os._exit(0)

        answer_alone()

        def reward(prompt, completion, answer):
            return 0.0
        """),
    "surplus_reply": _reward("""
        os.write(int(sys.argv[2]), bytes(3))
        return float(select.select([], [int(sys.argv[2])], [], 0)[1] == [])
    """),
    "descriptor_flags": _reward("""
        blocking = [os.get_blocking(fd) for fd in range(8) if fd not in (3, 4)]
        for fd in range(8):
            os.set_blocking(fd, False)
        return float(sum(blocking))
    """),
}
"""Memory, descriptors and pipes: held by the structure of the worker, whatever the seal."""

LUCK: dict[str, str] = {
    "clock": _reward("return float(time.time_ns() % 10 ** 6)"),
    "clock_in_c": _reward("return float(datetime.datetime.now().microsecond)"),
    "monotonic_in_c": _reward("return ctypes.CDLL(None).clock() % 1e6"),
    "coarse_clock": _reward("return time.clock_gettime_ns(5) % 1e6"),
    "seconds_in_c": _reward("return float(ctypes.CDLL(None).time(None) % 10 ** 6)"),
    "raw_clock": _reward("""
        now = (ctypes.c_long * 2)()
        ctypes.CDLL(None).syscall(228, 0, now)
        return float(now[1] % 10 ** 6)
    """),
    "processor_time": _reward("return float(sum(os.times()[:2]))"),
    "usage": _reward("import resource\nreturn float(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)"),
    "process_id": _reward("return float(os.getpid() % 10 ** 6)"),
    "thread_id": _reward("return float(ctypes.CDLL(None).syscall(186) % 10 ** 6)"),
    "pipe_number": _reward("return float(sum(os.fstat(fd).st_ino for fd in range(3, 5)) % 10 ** 6)"),
    "kernel_chance": _reward("return float(os.urandom(2)[0])"),
    "python_chance": _reward("return random.random()"),
    "own_chance": _reward("return random.Random().random()"),
}
"""What the seal closes: clocks, chance, and numbers that grow with every process."""
