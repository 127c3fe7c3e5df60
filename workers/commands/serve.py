"""`voxpop serve`: a generator pack at /v1/chat/completions."""

from rich.console import Console

from workers.serve.application import serve
from workers.settings import Settings
from workers.slm.build import ensure_pack


def show_serve(settings: Settings, out: Console) -> None:
    """Serves until SIGTERM or Ctrl-C; builds the pack when it is missing.

    Raises `UsageError` when the address is taken or would be open to others without tokens, `PackError`.
    """
    chosen = settings.serve
    pack = ensure_pack(chosen.pack, settings.packs_dir, settings.cache_dir, choice=settings.model.base_source)
    serve(pack, chosen, lambda address: out.print(f"{pack.name}     {address}v1", highlight=False, soft_wrap=True))
