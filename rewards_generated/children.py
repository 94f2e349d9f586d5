"""Child processes: what of the environment is theirs, exit codes whatever this process was started by, and an end with
their parent."""

from __future__ import annotations

import os
import signal
import threading
import time

PASSED_ON = (
    "PATH",
    "LANG",
    "LC_ALL",
    "TMPDIR",
    "PYTHONPATH",
    "VIRTUAL_ENV",
    "LD_LIBRARY_PATH",
    "CUDA_HOME",
    "CUDA_VISIBLE_DEVICES",
    "SSL_CERT_FILE",
    "HF_HUB_CACHE",
    "HF_DATASETS_CACHE",
    "HF_ENDPOINT",
    "HF_HUB_OFFLINE",
    "HF_DATASETS_OFFLINE",
    "TRANSFORMERS_OFFLINE",
)
"""Variables that a job, and a server of its own, inherit. Everything else of the driver's environment stays with it."""

_POLL_SECONDS = 0.5


def keep_exit_codes() -> None:
    """From now on the exit codes of this process's children can be read, and those of theirs.

    A parent that ignores SIGCHLD, as some cluster managers do, hands that on; the kernel then throws exit codes away,
    and Python reads each as 0. Does nothing outside of the main thread, where signals cannot be set.
    """
    main = threading.current_thread() is threading.main_thread()
    if main and signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def end_with(parent: int) -> None:
    """From now on this process, and its group with it, is killed soon after the death of process `parent`, its parent.

    It must lead its process group. Covers a parent that was gone already.
    """
    if os.getppid() != parent:
        _end()
    threading.Thread(target=_watch, args=(parent,), daemon=True, name="lifeline").start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_POLL_SECONDS)
    _end()


def _end() -> None:
    os.killpg(os.getpgid(0), signal.SIGKILL)
