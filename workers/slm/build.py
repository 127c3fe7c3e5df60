"""Builds packs: fetch the base, write the encoder, add the heads, sign with hashes, move into place at once."""

import errno
import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path

from workers.slm import packs
from workers.slm.adapter import AdapterCard, adapter_of, with_adapter
from workers.slm.bert import Bert
from workers.slm.cards import check_base
from workers.slm.checkpoint import read_checkpoint
from workers.slm.ct2_bert import write_encoder
from workers.slm.ct2_llama import gguf_tokenizer, write_decoder
from workers.slm.durable import alone, replace_text, sync, sync_directory
from workers.slm.e5s1 import read_e5s1
from workers.slm.errors import PackError
from workers.slm.gguf import read_gguf
from workers.slm.heads import HeadsCard, read_heads_card
from workers.slm.packs import BaseCard, Pack, PackCard
from workers.slm.prune import with_layers
from workers.slm.recipes import Recipe, digest, load_recipe, shipped_recipes
from workers.slm.sources import Choice, Files, Progress, fetch_base, sha256_of
from workers.slm.trained import with_trained
from workers.slm.versions import cards_dir, current_version

# Names have no dot, so one pack's leavings are never taken for another's.
SCRATCH = ".building"
REPLACED = ".replaced"


def _silent(_line: str) -> None:
    """Progress for callers that show none."""


def ensure_pack(
    name: str, packs_dir: Path, cache_dir: Path, *, choice: Choice = "auto", progress: Progress = _silent
) -> Pack:
    """The current version of the pack of this name, whole: the one that was promoted, else the one that its recipe builds.
    `name` may also be a recipe's .yaml file, or a pack's directory: that one is verified, never rebuilt.

    Raises `PackError`; a promoted version that is damaged is not passed over in silence.
    """
    promoted = current_version(packs_dir, _pack_name(name))
    if promoted is not None:
        return packs.load_pack(promoted)
    if _is_directory(name):
        return packs.load_pack(Path(name))
    return ensure_built(name, packs_dir, cache_dir, choice=choice, progress=progress)


def ensure_built(
    name: str, packs_dir: Path, cache_dir: Path, *, choice: Choice = "auto", progress: Progress = _silent
) -> Pack:
    """The pack as its recipe (a name, or a .yaml file) makes it, whatever was promoted: built when it is missing, damaged,
    or was made by another recipe than today's.

    Two processes may call this at once: one builds, the other waits and takes it. Raises `PackError`.
    """
    recipe = load_recipe(name)
    path = packs_dir / recipe.name
    if (pack := _whole(path, recipe)) is not None:
        return pack
    with alone(packs_dir, recipe.name, lambda: _waiting(recipe, progress)):
        if (pack := _whole(path, recipe)) is not None:  # another process has just built it
            return pack
        return _build(recipe, packs_dir, cache_dir, choice, progress)


def build_pack(
    name: str, packs_dir: Path, cache_dir: Path, *, choice: Choice = "auto", progress: Progress = _silent
) -> Pack:
    """Build the pack of a recipe anew and put it in the place of what is there. Raises `PackError`."""
    recipe = load_recipe(name)
    with alone(packs_dir, recipe.name, lambda: _waiting(recipe, progress)):
        return _build(recipe, packs_dir, cache_dir, choice, progress)


def _waiting(recipe: Recipe, progress: Progress) -> None:
    progress(f"waiting for another process that builds the pack {recipe.name}")


def _pack_name(name: str) -> str:
    return load_recipe(name).name if name.endswith((".yaml", ".yml")) else name


def _is_directory(name: str) -> bool:
    if name in shipped_recipes() or name.endswith((".yaml", ".yml")):
        return False
    return os.sep in name or Path(name).is_dir()


def _whole(path: Path, recipe: Recipe) -> Pack | None:
    """The pack at `path` when it is intact and of this very recipe."""
    try:
        pack = packs.load_pack(path)
    except PackError:
        return None
    return pack if pack.card.recipe == digest(recipe) else None


def _build(recipe: Recipe, packs_dir: Path, cache_dir: Path, choice: Choice, progress: Progress) -> Pack:
    _sweep(packs_dir, recipe.name)
    files = fetch_base(recipe.base, cache_dir, choice, progress)
    progress(f"building the pack {recipe.name}")
    try:
        scratch = Path(tempfile.mkdtemp(dir=packs_dir, prefix=f"{SCRATCH}.{recipe.name}."))
        try:
            scratch.chmod(0o755)  # it was made for us alone; a pack is for every user of the machine
            _fill(scratch, recipe, files)
            sync(scratch)
            _move_into_place(scratch, packs_dir / recipe.name)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    except OSError as error:
        why = "no room left" if error.errno == errno.ENOSPC else str(error)
        raise PackError(f"{packs_dir} could not be written ({why}); free disk space or set VOXPOP_STATE_DIR") from error
    return packs.load_pack(packs_dir / recipe.name)


def _fill(path: Path, recipe: Recipe, files: Files) -> None:
    (path / packs.MODEL_DIR).mkdir()
    (_fill_decoder if recipe.decoder else _fill_encoder)(path, recipe, files)
    heads = _copy_heads(recipe, path)
    learnt = heads or adapter_of(recipe)
    written = dict(packs.hashes(path))
    made_of = "".join(f"{name}\0{sha256}\n" for name, sha256 in written.items()) + digest(recipe)
    content = hashlib.sha256(made_of.encode()).hexdigest()
    card = PackCard(
        name=recipe.name,
        version=f"{recipe.version}+{content[:8]}",
        date=recipe.date,
        description=recipe.description,
        licence=recipe.licence,
        languages=recipe.languages,
        recipe=digest(recipe),
        base=BaseCard(name=recipe.base.name, licence=recipe.base.licence, sha256=recipe.base.sha256),
        encoder=recipe.encoder,
        decoder=recipe.decoder,
        quantization=recipe.quantization,
        heads=heads.heads if heads else {},
        aspects=heads.aspects if heads else None,
        attention=heads.attention if heads else None,
        adapter=sha256_of(recipe.trained_file) if isinstance(learnt, AdapterCard) else None,
        metrics=learnt.metrics if learnt else {},
        data=learnt.data if learnt else (),
        limits=learnt.limits if learnt else (),
        files=written,
    )
    packs.write_card(path, card)


def _fill_encoder(path: Path, recipe: Recipe, files: Files) -> None:
    bert = read_encoder(recipe, files)
    write_encoder(bert, path / packs.MODEL_DIR, recipe.quantization)
    document = json.dumps(bert.tokenizer, ensure_ascii=False, separators=(",", ":"))
    (path / packs.TOKENIZER_FILE).write_text(document, encoding="utf-8")


def _fill_decoder(path: Path, recipe: Recipe, files: Files) -> None:
    if recipe.base.format != "gguf":
        raise PackError(f"the base {recipe.base.name} is {recipe.base.format}; a generator is built of a GGUF file")
    gguf = read_gguf(files["weights"])
    if (adapter := adapter_of(recipe)) is not None:
        gguf = with_adapter(gguf, recipe.trained_file, adapter)
    write_decoder(gguf, path / packs.MODEL_DIR, recipe.quantization)
    gguf_tokenizer(gguf).save(str(path / packs.TOKENIZER_FILE), pretty=False)


def read_encoder(recipe: Recipe, files: Files) -> Bert:
    """The recipe's encoder in float32: its base, and over it the trained part if there is one. Raises `PackError`."""
    bert = _read_base(recipe, files)
    if recipe.trained_file.is_file():
        return with_trained(bert, recipe.trained_file, recipe.layers)
    return with_layers(bert, recipe.layers or bert.layers)


def _read_base(recipe: Recipe, files: Files) -> Bert:
    if recipe.base.format == "e5s1":
        return read_e5s1(files["weights"])
    if recipe.base.format == "gguf":
        raise PackError(f"the base {recipe.base.name} is a decoder; a pack is built of an encoder: correct the recipe")
    return read_checkpoint(files["weights"], files["tokenizer"], files["config"])


def _copy_heads(recipe: Recipe, path: Path) -> HeadsCard | None:
    """Put the recipe's trained heads into the pack. A recipe without any makes a pack that only embeds."""
    if not recipe.heads_dir.is_dir():
        return None
    card = read_heads_card(recipe.heads_dir)
    what = f"the heads in {recipe.heads_dir} were trained"
    check_base(what, card.base_sha256, recipe.base.sha256["weights"], "train them again: python -m workers.slm.train")
    shutil.copyfile(recipe.heads_dir / packs.HEADS_FILE, path / packs.HEADS_FILE)
    return card


def _move_into_place(built: Path, path: Path) -> None:
    """A crash between the two renames leaves no pack, never half of one; the next call builds it again."""
    if path.exists():
        _keep_card(path)
        replaced = path.with_name(f"{REPLACED}.{path.name}.{os.getpid()}")
        path.rename(replaced)
        built.rename(path)
        shutil.rmtree(replaced)
    else:
        built.rename(path)
    sync_directory(path.parent)


def _keep_card(path: Path) -> None:
    """Rows that were judged by what is about to be replaced still name its version."""
    try:
        card = packs.read_card(path)
    except PackError:
        return
    kept = cards_dir(path.parent, path.name)
    kept.mkdir(exist_ok=True)
    replace_text(kept / f"{card.version}.yaml", (path / packs.CARD).read_text(encoding="utf-8"))


def _sweep(packs_dir: Path, name: str) -> None:
    """Remove what builders that were killed have left. Only called while we are the only builder of this pack."""
    for prefix in (SCRATCH, REPLACED):
        for left in packs_dir.glob(f"{prefix}.{name}.*"):
            shutil.rmtree(left, ignore_errors=True)
