"""The secret that authors' pseudonyms are made with."""

import os
import secrets
from contextlib import suppress

from workers.errors import VoxpopError
from workers.settings import Settings

FILE = "author.salt"


def author_salt(settings: Settings) -> bytes:
    """The configured salt, or this machine's own: made once, kept in the state directory, readable by its owner alone.

    Workers on several machines must share one (VOXPOP_PRIVACY__AUTHOR_SALT), or an author gets a pseudonym from each.
    """
    if settings.privacy.author_salt:
        return settings.privacy.author_salt.get_secret_value().encode()
    path = settings.state_dir / FILE
    try:
        settings.state_dir.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            _write_once(settings, secrets.token_bytes(32))
        return path.read_bytes()
    except OSError as error:
        raise VoxpopError(f"{path} cannot be used ({error.strerror}); set VOXPOP_PRIVACY__AUTHOR_SALT") from error


def _write_once(settings: Settings, salt: bytes) -> None:
    """Whole or not at all, also with several workers starting at once: whoever links first wins."""
    scratch = settings.state_dir / f".{FILE}.{os.getpid()}"
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(salt)
        os.link(scratch, settings.state_dir / FILE)
    finally:
        scratch.unlink()
