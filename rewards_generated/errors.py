"""Who owns a failure. A user's mistake is one sentence; a reward's failure is data; the rest is our bug."""


class UserError(Exception):
    """A mistake of the user's, told in one sentence: the field or file, its value, and what to do.

    The command line prints it and exits with code 2; nothing else is printed.
    """


class SandboxUnavailable(UserError):
    """The sandbox level that the configuration demands cannot be reached on this machine."""
