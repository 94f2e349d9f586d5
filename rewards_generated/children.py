"""Exit codes of children, whatever this process was started by."""

from __future__ import annotations

import signal
import threading


def keep_exit_codes() -> None:
    """From now on the exit codes of this process's children can be read, and those of theirs.

    A parent that ignores SIGCHLD, as some cluster managers do, hands that on; the kernel then throws exit codes away,
    and Python reads each as 0. Does nothing outside of the main thread, where signals cannot be set.
    """
    main = threading.current_thread() is threading.main_thread()
    if main and signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
