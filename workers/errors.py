"""The errors a person sees. Each message is one line: the cause, then the mend."""


class VoxpopError(Exception):
    """The work could not be done. `str(error)` is one line: the cause, then the mend. The CLI exits 1 with it."""


class UsageError(VoxpopError):
    """The caller asked for something that makes no sense (a bad option, a bad file). The CLI exits 2."""
