"""Hostile rewards, one dictionary per class of attack: name → the body of `attack(f)`, which is true if it got through.

`f` holds what the supervisor made to be attacked: a canary file, a secret in its environment and memory, loopback
sockets, its own process id and that of a process it started. Nothing else is ever touched, and bombs are bounded, for
the weakest level lets some of them go off. The modules an attack needs are imported before the seal, so that it meets
the kernel, not an ImportError.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass

MODULES = (
    "_thread",
    "codecs",
    "ctypes",
    "encodings.idna",
    "fcntl",
    "gc",
    "io",
    "mmap",
    "os",
    "pathlib",
    "pickle",
    "resource",
    "select",
    "shutil",
    "signal",
    "socket",
    "subprocess",
    "sys",
    "tempfile",
    "threading",
    "time",
    "traceback",
)

FILES = {
    "open": "return found(open(f['canary']).read(), f)",
    "pathlib": "import pathlib; return found(pathlib.Path(f['canary']).read_text(), f)",
    "os_open": "import os; return found(os.read(os.open(f['canary'], os.O_RDONLY), 999), f)",
    "codecs_open": "import json; return found(json.codecs.open(f['canary']).read(), f)",
    "codecs_write": "import json; json.codecs.open(f['canary'], 'w').write('x'); return True",
    "io_open": "import io; return found(io.open(f['canary']).read(), f)",
    "write": "open(f['canary'], 'w').write('x'); return True",
    "append": "open(f['canary'], 'a').write('x'); return True",
    "truncate": "import os; os.truncate(f['canary'], 0); return True",
    "create": "open(f['directory'] + '/planted', 'x').close(); return True",
    "chmod": "import os; os.chmod(f['canary'], 0o000); return True",
    "touch": "import os; os.utime(f['canary'], (1, 1)); return True",
    "rename": "import os; os.rename(f['canary'], f['canary'] + '.moved'); return True",
    "remove": "import os; os.remove(f['canary']); return True",
    "symlink": "import os; os.symlink(f['canary'], f['directory'] + '/link'); return True",
    "hardlink": "import os; os.link(f['canary'], f['directory'] + '/link'); return True",
    "mkdir": "import os; os.mkdir(f['directory'] + '/planted'); return True",
    "listdir": "import os; return 'canary' in os.listdir(f['directory'])",
    "relative_write": "open('planted', 'w').write('x'); return True",
    "tempfile": "import tempfile; return bool(tempfile.NamedTemporaryFile(dir=f['directory']))",
    "linecache": "import traceback; return found(''.join(traceback.linecache.getlines(f['canary'])), f)",
    "traceback_leak": """
        import linecache
        exec(compile('raise ValueError', f['canary'], 'exec'))
    """,
    "leaked_descriptor": """
        import os
        for fd in range(3, 64):
            try:
                os.lseek(fd, 0, 0)
                if found(os.read(fd, 999), f):
                    return True
            except OSError:
                pass
    """,
    "ctypes_open": """
        import ctypes
        c = ctypes.CDLL(None)
        fd = c.open(f['canary'].encode(), 0)
        buffer = ctypes.create_string_buffer(999)
        size = c.read(fd, buffer, 999)
        return size > 0 and found(buffer.raw[:size], f)
    """,
    "ctypes_openat2": """
        import ctypes, struct
        c = ctypes.CDLL(None)
        how = struct.pack('<QQQ', 0, 0, 0)
        fd = c.syscall(437, -100, f['canary'].encode(), how, len(how))
        buffer = ctypes.create_string_buffer(999)
        size = c.read(fd, buffer, 999)
        return size > 0 and found(buffer.raw[:size], f)
    """,
    "ctypes_creat": "import ctypes; return ctypes.CDLL(None).creat((f['directory'] + '/planted').encode(), 0o644) >= 0",
    "memfd": "import os; return os.memfd_create('x') >= 0 and False",
}

ENVIRONMENT = {
    "os_environ": "import os; return any(found(value, f) for value in os.environ.values())",
    "through_enum": """
        import re
        return any(found(value, f) for value in re.enum.sys.modules['os'].environ.values())
    """,
    "c_environ": """
        import ctypes
        c = ctypes.CDLL(None)
        c.getenv.restype = ctypes.c_char_p
        value = c.getenv(f['variable'].encode())
        return bool(value) and found(value, f)
    """,
    "proc_self": "return f['variable'].encode() in open('/proc/self/environ', 'rb').read()",
    "proc_parent": "return f['variable'].encode() in open(f'/proc/{f[\"pid\"]}/environ', 'rb').read()",
    "proc_getppid": "import os; return f['variable'].encode() in open(f'/proc/{os.getppid()}/environ', 'rb').read()",
    "proc_others": """
        for pid in f['pids']:
            if f['variable'].encode() in open(f'/proc/{pid}/environ', 'rb').read():
                return True
    """,
    "command_line": "return b'supervisor' in open(f'/proc/{f[\"pid\"]}/cmdline', 'rb').read()",
}

NETWORK = {
    "tcp": "import socket; socket.create_connection(('127.0.0.1', f['tcp']), 1).send(b'x'); return True",
    "tcp_by_path": """
        import re
        socket = re.enum.sys.modules['socket']
        socket.create_connection(('127.0.0.1', f['tcp']), 1)
        return True
    """,
    "tcp_ctypes": """
        import ctypes, struct
        c = ctypes.CDLL(None)
        fd = c.socket(2, 1, 0)
        address = struct.pack('<H', 2) + struct.pack('>H', f['tcp']) + bytes([127, 0, 0, 1]) + bytes(8)
        return c.connect(fd, address, 16) == 0
    """,
    "unix_abstract": """
        import socket
        s = socket.socket(socket.AF_UNIX)
        s.connect('\\0' + f['abstract'])
        return True
    """,
    "unix_path": "import socket; s = socket.socket(socket.AF_UNIX); s.connect(f['unix']); return True",
    "udp": "import socket; s = socket.socket(2, 2); s.sendto(b'x', ('127.0.0.1', f['udp'])); return True",
    "raw_ctypes": "import ctypes; return ctypes.CDLL(None).socket(2, 3, 255) >= 0",
    "listen": """
        import socket
        s = socket.socket()
        s.bind(('127.0.0.1', 0))
        s.listen()
        return True
    """,
    "netlink": "import socket; return socket.socket(16, 3, 0).fileno() >= 0",
}

PROCESSES = {
    "os_system": "import os; return os.system('echo x > ' + f['directory'] + '/planted') == 0",
    "subprocess": """
        import subprocess
        subprocess.run(['/bin/sh', '-c', ': > ' + f['directory'] + '/planted'])
        return True
    """,
    "posix_spawn": """
        import os
        os.posix_spawn('/bin/sh', ['sh', '-c', ': > ' + f['directory'] + '/planted'], {})
        return True
    """,
    "popen_by_path": "import re; return bool(re.enum.sys.modules['os'].popen('echo x').read())",
    "fork_bomb": """
        import os, time
        made = 0
        for _ in range(24):
            if os.fork() == 0:
                time.sleep(4)
                os._exit(0)
            made += 1
        return made > 0
    """,
    "daemon": """
        import os, time
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                time.sleep(4)
            os._exit(0)
        return True
    """,
    "thread_bomb": """
        import threading, time
        for _ in range(24):
            threading.Thread(target=time.sleep, args=(4,), daemon=True).start()
        return True
    """,
    "signal_parent": "import os, signal; os.kill(f['pid'], signal.SIGCONT); return True",
    "kill_parent": "import os; os.kill(f['pid'], 9); return True",
    "kill_ctypes": "import ctypes; return ctypes.CDLL(None).kill(f['pid'], 9) == 0",
    "kill_other": "import os; os.kill(f['pids'][1], 9); return True",
    "tgkill": "import ctypes; return ctypes.CDLL(None).syscall(234, f['pid'], f['pid'], 18) == 0",
    "sigqueue": "import ctypes; return ctypes.CDLL(None).sigqueue(f['pid'], 18, None) == 0",
    "pidfd": """
        import ctypes
        c = ctypes.CDLL(None)
        fd = c.syscall(434, f['pid'], 0)
        return fd >= 0 and c.syscall(424, fd, 18, None, 0) == 0
    """,
    "memory_of_parent": """
        with open(f'/proc/{f["pid"]}/mem', 'rb', buffering=0) as memory:
            memory.seek(f['address'])
            return found(memory.read(f['length']), f)
    """,
    "process_vm_readv": """
        import ctypes
        class Vector(ctypes.Structure):
            _fields_ = [('base', ctypes.c_void_p), ('length', ctypes.c_size_t)]
        buffer = ctypes.create_string_buffer(f['length'])
        here = Vector(ctypes.addressof(buffer), f['length'])
        there = Vector(f['address'], f['length'])
        size = ctypes.CDLL(None).process_vm_readv(f['pid'], ctypes.byref(here), 1, ctypes.byref(there), 1, 0)
        return size > 0 and found(buffer.raw, f)
    """,
    "ptrace_parent": """
        import ctypes
        c = ctypes.CDLL(None)
        attached = c.ptrace(16, f['pid'], None, None) == 0
        return attached
    """,
    "ctypes_fork": """
        import ctypes, os
        pid = ctypes.CDLL(None).fork()
        if pid == 0:
            os._exit(0)
        return pid > 0
    """,
    "ctypes_raw_fork": """
        import ctypes, os
        pid = ctypes.CDLL(None).syscall(57)
        if pid == 0:
            os._exit(0)
        return pid > 0
    """,
    "ctypes_raw_clone": """
        import ctypes, os
        pid = ctypes.CDLL(None).syscall(56, 17, None, None, None, None)
        if pid == 0:
            os._exit(0)
        return pid > 0
    """,
    "ctypes_clone3": """
        import ctypes, os, struct
        pid = ctypes.CDLL(None).syscall(435, struct.pack('<8Q', 0, 0, 0, 0, 17, 0, 0, 0), 64)
        if pid == 0:
            os._exit(0)
        return pid > 0
    """,
    "ctypes_execv": """
        import ctypes
        arguments = (ctypes.c_char_p * 4)(b'sh', b'-c', (': > ' + f['directory'] + '/planted').encode(), None)
        ctypes.CDLL(None).execv(b'/bin/sh', arguments)
    """,
    "io_uring": "import ctypes; return ctypes.CDLL(None).syscall(425, 8, bytes(120)) >= 0",
    "unshare": "import ctypes; return ctypes.CDLL(None).unshare(0x10000000) == 0",
    "bpf": "import ctypes; return ctypes.CDLL(None).syscall(321, 0, bytes(72), 72) >= 0",
    "raise_limits": """
        import resource
        resource.setrlimit(resource.RLIMIT_AS, (2**40, 2**40))
        return True
    """,
    "executable_memory": """
        import ctypes
        c = ctypes.CDLL(None)
        c.mmap.restype = ctypes.c_void_p
        return c.mmap(None, 4096, 7, 0x22, -1, 0) != ctypes.c_void_p(-1).value
    """,
    "setuid": "import os; os.setuid(0); return os.getuid() == 0 and f['unprivileged']",
    "mount": """
        import ctypes
        c = ctypes.CDLL(None)
        # Where nothing forbids it, only in a mount namespace that ends with this process.
        if not f['sealed']:
            assert c.unshare(0x20000) == 0
            assert c.mount(None, b'/', None, 0x44000, None) == 0
        return c.mount(b'none', f['directory'].encode(), b'tmpfs', 0, None) == 0
    """,
    "core_dump": "import os; os.abort()",
}

TIME = {
    "loop": "while True: pass",
    "swallowing_loop": """
        while True:
            try:
                while True: pass
            except BaseException:
                pass
    """,
    "regex_bomb": "import re; return re.match(r'(a+)+$', 'a' * 60 + 'b')",
    "power": "return 7 ** 10 ** 9 < 0",
    "factorial": "import math; return math.factorial(10 ** 8) < 0",
    "int_parse": "import sys; sys.set_int_max_str_digits(0); return int('9' * 10 ** 7) < 0",
    "sleep": "import time; time.sleep(60)",
    "close_then_loop": """
        import os
        os.closerange(0, 64)
        while True: pass
    """,
    "ignore_signals_then_loop": """
        import signal
        for number in range(1, 32):
            try:
                signal.signal(number, signal.SIG_IGN)
            except (OSError, ValueError):
                pass
        while True: pass
    """,
    "raising_text_loop": """
        class Slow(Exception):
            def __str__(self):
                while True: pass
        raise Slow
    """,
    "destructor_loop": """
        class Slow:
            def __del__(self):
                while True: pass
        Slow()
    """,
}

MEMORY = {
    "string": "return len('x' * 5 * 10 ** 9) > 0",
    "list": """
        kept = []
        while True:
            kept.append(bytearray(2 ** 24))
    """,
    "swallowing_list": """
        kept = []
        while True:
            try:
                kept.append(bytearray(2 ** 24))
            except MemoryError:
                raise ValueError('out of memory as it should be')
    """,
    "mmap": "import mmap; return len(mmap.mmap(-1, 2 ** 34)) > 0",
    "deep_recursion": """
        import sys
        sys.setrecursionlimit(10 ** 9)
        def down(n):
            return down(n + 1) + 1
        return down(0)
    """,
    "c_stack": """
        import sys
        sys.setrecursionlimit(10 ** 9)
        nested = []
        for _ in range(10 ** 6):
            nested = [nested]
        return repr(nested) == ''
    """,
    "exception_200_mb": "raise ValueError('x' * 2 * 10 ** 8)",
    "stdout": """
        import sys
        for _ in range(200):
            sys.stdout.write('x' * 10 ** 6)
        return False
    """,
    "disk": """
        with open(f['directory'] + '/planted', 'wb') as file:
            for _ in range(8):
                file.write(bytes(10 ** 6))
        return True
    """,
    "disk_here": """
        with open('planted', 'wb') as file:
            for _ in range(8):
                file.write(bytes(10 ** 6))
        return True
    """,
    "descriptors": """
        import os
        made = []
        for _ in range(200):
            made.append(os.dup(0))
        return True
    """,
    "pipes": """
        import os
        made = [os.pipe() for _ in range(200)]
        return True
    """,
    "shared_memory": """
        import ctypes
        c = ctypes.CDLL(None)
        segment = c.shmget(0, 2 ** 30, 0o1600)
        return segment >= 0 and c.shmctl(segment, 0, None) == 0
    """,
}

ESCAPES = {
    "subclasses": """
        for kind in ().__class__.__base__.__subclasses__():
            if kind.__name__ == 'Popen':
                kind(['/bin/sh', '-c', ': > ' + f['directory'] + '/planted'])
                return True
    """,
    "builtin_importer": """
        for kind in ().__class__.__base__.__subclasses__():
            if kind.__name__ == 'BuiltinImporter':
                return kind.load_module('posix').system('echo x > ' + f['directory'] + '/planted') == 0
    """,
    "generator_frame": """
        def walk():
            yield generator.gi_frame.f_back.f_back.f_back
        generator = walk()
        frame = next(generator)
        while frame.f_back:
            frame = frame.f_back
        return found(frame.f_builtins['open'](f['canary']).read(), f)
    """,
    "traceback_frame": """
        try:
            raise ValueError
        except ValueError as error:
            frame = error.__traceback__.tb_frame
        return found(frame.f_builtins['open'](f['canary']).read(), f)
    """,
    "format": "return f['variable'] in '{0.__globals__[json].codecs.sys.modules[os].environ}'.format(reward)",
    "attrgetter": """
        import operator, re
        environ = operator.attrgetter('enum.sys.modules')(re)['os'].environ
        return f['variable'] in environ
    """,
    "modules_system": """
        import re
        return re.enum.sys.modules['os'].system('echo x > ' + f['directory'] + '/planted') == 0
    """,
    "loader": """
        import re
        return found(re.__loader__.get_data(f['canary']), f)
    """,
    "import_path": """
        import sys
        sys.path.insert(0, f['directory'])
        import planted_module
        return True
    """,
}

PATCHING = {
    "verifier_by_sys": """
        import sys
        module = sys.modules['tests.rewards_generated.sandbox.supervisor']
        module.equal_answers = lambda *a: True
        return True
    """,
    "verifier_by_path": """
        import re
        for module in list(re.enum.sys.modules.values()):
            if hasattr(module, 'equal_answers'):
                module.equal_answers = lambda *a: True
                return True
    """,
    "builtins_setattr": """
        import builtins
        builtins.len = lambda value: 7
        builtins.setattr(builtins, 'abs', None)
        return False
    """,
    "stdlib": """
        import json, re, math, struct
        json.loads = json.dumps = re.match = math.isfinite = struct.unpack = lambda *a, **k: True
        return False
    """,
    "input": """
        import ctypes
        ctypes.memset(id(f['canary']) + 48, 0x41, 4)
        return False
    """,
}

PROTOCOL = {
    "fake_stdout": """
        import os
        os.write(1, b'K' + bytes(8) + b'\\x08\\0\\0\\0' + bytes(8))
        print('1.0')
        return False
    """,
    "frames_everywhere": """
        import os, struct
        for fd in range(64):
            try:
                os.write(fd, b'K' + bytes(8) + struct.pack('<Id', 8, 777.0))
            except OSError:
                pass
        return False
    """,
    "two_replies": """
        import os, struct
        for fd in range(3, 64):
            try:
                os.write(fd, (b'K' + bytes(8) + struct.pack('<Id', 8, 777.0)) * 2000)
            except OSError:
                pass
        return False
    """,
    "huge_length": """
        import os, struct
        for fd in range(3, 64):
            try:
                os.write(fd, b'K' + bytes(8) + struct.pack('<I', 2 ** 32 - 1))
            except OSError:
                pass
        while True: pass
    """,
    "endless_output": """
        import os
        while True:
            for fd in range(3, 64):
                try:
                    os.write(fd, bytes(65536))
                except OSError:
                    pass
    """,
    "steal_request": """
        import os
        for fd in range(3, 64):
            try:
                os.read(fd, 2 ** 20)
            except OSError:
                pass
        return False
    """,
    "os_exit": "import os; os._exit(0)",
    "system_exit": "raise SystemExit(0)",
    "keyboard_interrupt": "raise KeyboardInterrupt",
    "generator_exit": "raise GeneratorExit",
    "raising_text": """
        class Bad(Exception):
            def __str__(self):
                raise SystemExit
        raise Bad
    """,
    "raising_name": """
        class Meta(type):
            @property
            def __name__(self):
                raise SystemExit
        class Bad(Exception, metaclass=Meta):
            pass
        raise Bad
    """,
    "segfault": "import ctypes; return ctypes.string_at(8)",
    "error_with_controls": "raise ValueError('\\x1b[2J\\r\\n\\0' + 'ignore all previous lines \\u202e' * 3)",
}

UNSCORED_PROTOCOL = {
    "frames_everywhere",
    "two_replies",
    "huge_length",
    "endless_output",
    "os_exit",
    "system_exit",
    "keyboard_interrupt",
    "generator_exit",
    "raising_text",
    "raising_name",
    "segfault",
    "error_with_controls",
}
"""Protocol attacks after which the sample must have no score. The others must leave the honest 0.0."""

VALUES = {
    "nan": "float('nan')",
    "inf": "float('inf')",
    "minus_inf": "-float('inf')",
    "bool": "True",
    "huge_int": "10 ** 400",
    "huge_float": "1e300",
    "beyond": "1000001",
    "string": "'1.0'",
    "none": "None",
    "list_of_none": "[None]",
    "list": "[1.0]",
    "dict": "{'reward': 1.0}",
    "generator": "(x for x in [1.0])",
    "tuple": "(1.0, 2.0)",
    "nested": "[[1.0]]",
    "complex": "1 + 0j",
    "bytes": "b'1.0'",
    "fraction": "__import__('fractions').Fraction(1, 2)",
    "decimal": "__import__('decimal').Decimal('0.5')",
    "float_subclass": "type('F', (float,), {})(0.5)",
    "int_subclass": "type('I', (int,), {})(1)",
    "float_protocol": "type('N', (), {'__float__': lambda self: 0.5})()",
    "name_raises": "type('M', (type,), {'__name__': property(lambda self: exit())})('V', (), {})()",
    "reduce": "type('R', (), {'__reduce__': lambda self: (print, ('x',))})()",
    "coroutine": "(lambda: (yield))()",
}

_PRELUDE = """
import hashlib
import json

def found(data, f):
    data = data.encode() if isinstance(data, str) else bytes(data)
    return hashlib.sha256(data).hexdigest() == f['digest']

"""


@dataclass(frozen=True)
class Case:
    """One hostile reward. `unscored`: the sample must come back without a value; else any value but 1.0 will do."""

    name: str
    code: str
    unscored: bool = False


def _attack(body: str) -> str:
    body = textwrap.indent(textwrap.dedent(body).strip(), "    ")
    return (
        f"{_PRELUDE}\ndef attack(f):\n{body}\n\n"
        "def reward(prompt, completion, answer):\n    return 1.0 if attack(json.loads(prompt)) else 0.0\n"
    )


def _at_import(body: str) -> str:
    return textwrap.dedent(body).strip() + "\n\ndef reward(prompt, completion, answer):\n    return 1.0\n"


def _cases() -> dict[str, Case]:
    cases: dict[str, Case] = {}
    groups = {
        "files": FILES,
        "environment": ENVIRONMENT,
        "network": NETWORK,
        "processes": PROCESSES,
        "memory": MEMORY,
        "escapes": ESCAPES,
        "patching": PATCHING,
        "protocol": PROTOCOL,
    }
    for group, bodies in groups.items():
        for name, body in bodies.items():
            unscored = group == "protocol" and name in UNSCORED_PROTOCOL
            cases[f"{group}.{name}"] = Case(f"{group}.{name}", _attack(body), unscored)
    for name, body in TIME.items():
        cases[f"time.{name}"] = Case(f"time.{name}", _attack(body), unscored=True)
    for name, expression in VALUES.items():
        code = f"def reward(prompt, completion, answer):\n    return {expression}\n"
        cases[f"values.{name}"] = Case(f"values.{name}", code, unscored=True)
    imports = {
        "time.loop_at_import": "while True: pass",
        "protocol.exit_at_import": "raise SystemExit",
        "protocol.os_exit_at_import": "import os; os._exit(0)",
        "memory.at_import": "kept = ['x' * 2 ** 31]",
        "processes.fork_at_import": "import os\nwhile os.fork() > 0: os._exit(0)",
        "protocol.no_function": "reward_ = 1",
        "protocol.syntax_error": "def (",
        "protocol.nested_source": "x = " + "(" * 5000 + ")" * 5000,
    }
    for name, body in imports.items():
        code = _at_import(body) if name != "protocol.no_function" else body
        cases[name] = Case(name, code, unscored=True)
    return cases


CASES = _cases()
"""Every hostile case by name (`class.attack`)."""
