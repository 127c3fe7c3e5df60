"""What can go wrong with a pack, as types."""

from workers.errors import VoxpopError


class PackError(VoxpopError):
    """A pack cannot be used or built; the message names the file or the cause, and the mend."""


class BaseError(PackError):
    """The base of a pack could not be fetched: offline, wrong bytes, no room."""
