"""The wheel as the image installs it: built from this working tree, in an environment that holds nothing else of it."""

import os
import signal
import subprocess
import sys
import venv
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.deployment import ROOT, image_environment
from workers.embedded.process import free_port

IMAGE = Path("/opt/voxpop")  # where the Dockerfile puts environment and packs
GRACE_S = 75


@dataclass(frozen=True)
class Installed:
    """A `voxpop` that comes from the wheel, and the environment that the image would give it."""

    voxpop: Path
    environment: Mapping[str, str]

    @property
    def state(self) -> Path:
        """The working directory, and the only place that is written to."""
        return Path(self.environment["VOXPOP_STATE_DIR"])

    @property
    def packs(self) -> Path:
        return Path(self.environment["VOXPOP_PACKS"])

    def run(self, *words: str, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        """A command, to its end. Nothing of this process's own environment reaches it."""
        variables = {**self.environment, **environment}
        command = [self.voxpop, *words]
        return subprocess.run(
            command, cwd=self.state, env=variables, capture_output=True, text=True, timeout=120, check=False
        )

    @contextmanager
    def running(self, *words: str, environment: Mapping[str, str], log: Path) -> Iterator["subprocess.Popen[bytes]"]:
        """A command that goes on. It is told to end as an orchestrator does, and must end with 0 in the time it is given."""
        variables = {**self.environment, **environment}
        with log.open("ab") as output:
            process = subprocess.Popen(
                [self.voxpop, *words], cwd=self.state, env=variables, stdout=output, stderr=output
            )
        try:
            yield process
            process.send_signal(signal.SIGTERM)
            assert process.wait(GRACE_S) == 0, log.read_text(errors="replace")[-2_000:]
        finally:
            process.kill()
            process.wait()


def install(directory: Path) -> Installed:
    """Builds the wheel and installs it alone; the packages it needs are those of this environment, so nothing is fetched."""
    quiet = ["--quiet", "--disable-pip-version-check", "--no-deps", "--no-index"]
    wheels, root = directory / "wheel", directory / "opt" / "voxpop"
    pip = [sys.executable, "-m", "pip"]
    subprocess.run([*pip, "wheel", *quiet, "--no-build-isolation", "--wheel-dir", wheels, ROOT], check=True)
    (wheel,) = wheels.glob("voxpop-*.whl")
    venv.create(root, symlinks=True)
    (site_packages,) = root.glob("lib/python*/site-packages")
    others = [path for path in sys.path if path.endswith("site-packages")]
    (site_packages / "others.pth").write_text("".join(f"{path}\n" for path in others))
    subprocess.run([*pip, "--python", root / "bin" / "python", "install", *quiet, wheel], check=True)
    return Installed(root / "bin" / "voxpop", _as_in_the_image(directory))


def _as_in_the_image(directory: Path) -> dict[str, str]:
    """The image's variables; its directories lie in this one, and its ports are free ones."""
    state = directory / "state"
    state.mkdir()
    found = image_environment()
    moved = {str(IMAGE): str(directory / "opt" / "voxpop"), found["VOXPOP_STATE_DIR"]: str(state)}
    for old, new in moved.items():
        found = {name: value.replace(old, new) for name, value in found.items()}
    ports = {name: str(free_port()) for name in found if name.endswith("_PORT")}
    return {**found, **ports, "HOME": str(state), "TMPDIR": os.environ.get("TMPDIR", "/tmp")}


def peak_memory_mb(pid: int) -> float:
    """The most memory that a process of Linux has held at once."""
    status = Path(f"/proc/{pid}/status").read_text()
    (kilobytes,) = (line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(kilobytes) / 1024
