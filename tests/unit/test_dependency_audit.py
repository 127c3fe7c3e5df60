"""`make audit`: a known advisory fails it, a reviewed one does not, and a service that knows none is not believed."""

import json
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT, REVIEWED = ROOT / ".ci" / "audit.py", ROOT / ".ci" / "known_advisories.txt"
BAD = {"name": "aiohttp", "version": "3.0", "vulns": [{"id": "PYSEC-1", "aliases": ["CVE-1"], "fix_versions": ["3.1"]}]}
GOOD = {"name": "rich", "version": "14.0", "vulns": []}
UNKNOWN = {"name": "voxpop", "skip_reason": "Dependency not found on PyPI and could not be audited: voxpop (0.1.0)"}
CERTAIN = {"name": "jinja2", "version": "2.4.1", "vulns": [{"id": "PYSEC-2014-8", "aliases": [], "fix_versions": []}]}
MIRROR = {"name": "jinja2", "skip_reason": "Dependency not found on PyPI and could not be audited: jinja2 (2.4.1)"}
Ran = subprocess.CompletedProcess[str]


def audit(tmp_path: Path, certain: Any, installed: Any, reviewed: str = "# none\n") -> Ran:
    """With a service that says this of the release that has advisories for certain, and that of what is installed; both as
    pip-audit 2.10 tells it, or words that are no JSON."""
    answers = {"--requirement": certain, "--path": installed}
    told = {
        name: a if isinstance(a, str) else json.dumps({"dependencies": a, "fixes": []}) for name, a in answers.items()
    }
    asked = tmp_path / "pip-audit"
    asked.write_text(
        f"#!{sys.executable}\nimport sys\ntold = {told!r}\n"
        "print(next(told[word] for word in sys.argv if word in told))\nsys.exit(1)\n"
    )
    asked.chmod(asked.stat().st_mode | stat.S_IXUSR)
    (tmp_path / "audit.py").write_text(SCRIPT.read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "known_advisories.txt").write_text(reviewed, encoding="utf-8")
    command = [sys.executable, str(tmp_path / "audit.py"), str(asked), str(tmp_path)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_an_advisory_that_nobody_has_reviewed_fails_it_and_is_named(tmp_path: Path) -> None:
    ran = audit(tmp_path, [CERTAIN], [BAD, GOOD, UNKNOWN])
    assert ran.returncode == 1
    first, last = ran.stdout.splitlines()
    assert first == "aiohttp 3.0: PYSEC-1, mended in 3.1"
    assert last.startswith("2 packages were asked about, 1 advisories that nobody has reviewed")
    assert last.endswith("voxpop")


@pytest.mark.parametrize("name", ["PYSEC-1", "CVE-1"])
def test_a_reviewed_one_does_not_and_its_reason_is_shown(tmp_path: Path, name: str) -> None:
    ran = audit(tmp_path, [CERTAIN], [BAD, GOOD], f"{name}  only its server is concerned\nCVE-9 gone by now\n")
    assert ran.returncode == 0
    assert "reviewed: only its server is concerned" in ran.stdout
    assert "CVE-9 is reviewed and concerns nothing that is installed" in ran.stdout


def test_nothing_known_passes(tmp_path: Path) -> None:
    ran = audit(tmp_path, [CERTAIN], [GOOD])
    assert (ran.returncode, len(ran.stdout.splitlines())) == (0, 1)
    assert ran.stdout.startswith("1 packages were asked about, 0 advisories")


@pytest.mark.parametrize(
    ("certain", "installed"),
    [
        ("Traceback: no route to the host", [GOOD]),
        ([MIRROR], [GOOD]),
        ([CERTAIN | {"vulns": []}], [GOOD]),
        ([CERTAIN], [UNKNOWN]),
    ],
    ids=["no answer", "a mirror without advisories", "a service that knows none", "nothing known"],
)
def test_where_no_service_is_in_reach_one_line_says_so_and_it_does_not_fail(
    tmp_path: Path, certain: Any, installed: Any
) -> None:
    ran = audit(tmp_path, certain, installed)
    assert (ran.returncode, ran.stderr) == (0, "")
    (line,) = ran.stdout.splitlines()
    assert line.startswith("no advisories were asked for: no advisory service is in reach")


def test_a_reviewed_one_needs_a_reason(tmp_path: Path) -> None:
    ran = audit(tmp_path, [CERTAIN], [GOOD], "CVE-1\n")
    assert ran.returncode == 2
    assert ran.stderr == "audit: known_advisories.txt names CVE-1 without a reason: write it behind the id\n"


def test_the_list_of_this_repository_can_be_read_and_ci_asks_after_the_bill_of_materials() -> None:
    lines = [line for line in REVIEWED.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    assert [line for line in lines if len(line.split()) < 3] == []
    steps = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert steps.index("make audit") == steps.index("make sbom") + 1
