"""Are advisories known of what is installed? `make audit` asks pip-audit, which asks PyPI's advisory service.

    python .ci/audit.py PIP_AUDIT SITE_PACKAGES [OPTION OF PIP_AUDIT …]

Exit 1 when one is known that .ci/known_advisories.txt does not name, 2 when that file is wrong. Where the service is not in
reach, which is not ours to mend, one line says so and the exit code is 0. A mirror that knows packages and no advisories
answers, too, and pip-audit then finds nothing: so it is first asked about a release that has advisories for certain.
"""

import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

REVIEWED = Path(__file__).with_name("known_advisories.txt")
CERTAIN = "jinja2==2.4.1"  # PYSEC-2014-8 and later ones: whoever knows none of them knows no advisories
LIMIT_S = 300
Dependency = dict[str, Any]


def main(pip_audit: str, site_packages: str, *options: str) -> int:
    """Asks, and prints what was found. The exit code."""
    try:
        reviewed = read_reviewed(REVIEWED.read_text(encoding="utf-8"))
    except ValueError as error:
        print(f"audit: {error}", file=sys.stderr)
        return 2
    with TemporaryDirectory() as directory:
        certain = Path(directory) / "certain.txt"
        certain.write_text(CERTAIN + "\n", encoding="utf-8")
        known = ask(pip_audit, "--requirement", str(certain), "--no-deps", "--disable-pip", *options)
    if not any(dependency.get("vulns") for dependency in known or ()):
        return _unasked(f"it does not know of {CERTAIN}")
    installed = ask(pip_audit, "--path", site_packages, "--skip-editable", *options)
    if installed is None:
        return _unasked("it broke off")
    return tell(installed, reviewed)


def read_reviewed(text: str) -> dict[str, str]:
    """Advisory -> why it does not concern us. Raises `ValueError` for a line without a reason."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    reviewed = {}
    for line in lines:
        advisory, _, reason = line.partition(" ")
        if not reason.strip():
            raise ValueError(f"{REVIEWED.name} names {advisory} without a reason: write it behind the id")
        reviewed[advisory] = reason.strip()
    return reviewed


def ask(pip_audit: str, *arguments: str) -> list[Dependency] | None:
    """What pip-audit says of each dependency; None when it could not ask."""
    command = [pip_audit, "--format", "json", "--progress-spinner", "off", "--desc", "off", *arguments]
    try:
        ran = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)  # noqa: S603 - the Makefile names it
        found: list[Dependency] = json.loads(ran.stdout)["dependencies"]
    except (subprocess.TimeoutExpired, json.JSONDecodeError, KeyError, TypeError):
        return None
    return found


def tell(installed: list[Dependency], reviewed: dict[str, str]) -> int:
    """Prints every advisory that is known of what is installed. 1 when one of them was not reviewed."""
    asked = [dependency for dependency in installed if "skip_reason" not in dependency]
    if not asked:
        return _unasked("it knows none of what is installed")
    new = 0
    met = set()
    for dependency in asked:
        for advisory in dependency["vulns"]:
            names = {advisory["id"], *advisory.get("aliases", ())}
            met |= names
            why = next((reviewed[name] for name in sorted(names) if name in reviewed), None)
            new += why is None
            mended = ", ".join(advisory.get("fix_versions", ())) or "no release yet"
            print(
                f"{dependency['name']} {dependency['version']}: {advisory['id']}, mended in {mended}"
                + (f"; reviewed: {why}" if why else "")
            )
    for advisory in sorted(set(reviewed) - met):
        print(f"{advisory} is reviewed and concerns nothing that is installed: take it out of {REVIEWED.name}")
    skipped = [dependency["name"] for dependency in installed if "skip_reason" in dependency]
    unknown = f"; not asked about, unknown to the service: {', '.join(skipped)}" if skipped else ""
    print(f"{len(asked)} packages were asked about, {new} advisories that nobody has reviewed{unknown}")
    return 1 if new else 0


def _unasked(why: str) -> int:
    print(f"no advisories were asked for: no advisory service is in reach ({why}); nothing was audited")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
