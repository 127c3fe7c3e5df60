"""The generator that settings or a command line ask for, if any: loaded, as the author of summaries."""

from collections.abc import Iterator
from contextlib import contextmanager

from workers.analyze.author import GeneratingAuthor
from workers.settings import Settings
from workers.slm.build import ensure_pack


@contextmanager
def author_of(
    settings: Settings, name: str | None = None, *, replicas: int | None = None
) -> Iterator[GeneratingAuthor | None]:
    """The author by the decoder pack of this name, else of the settings', else None. Builds the pack when it is missing.

    Raises `PackError`."""
    wanted = name or settings.model.generator
    if wanted is None:
        yield None
        return
    pack = ensure_pack(wanted, settings.packs_dir, settings.cache_dir, choice=settings.model.base_source)
    with pack.generator(replicas or settings.model.replicas) as generator:
        yield GeneratingAuthor(generator, pack.name, pack.version)
