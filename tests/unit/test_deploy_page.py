"""deploy/README.md names what there is: variables, files, tests, commands, places."""

import re

import pytest

from tests.deployment import DEPLOY, NOT_SETTINGS, ROOT, commands, setting_of, stages

PAGE = (DEPLOY / "README.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"`voxpop ([a-z|]+)`", PAGE)


def test_every_variable_is_a_setting() -> None:
    named = set(re.findall(r"\bVOXPOP_[A-Z_]+[A-Z]", PAGE)) - NOT_SETTINGS
    assert len(named) > 5
    assert [name for name in named if setting_of(name) is None] == []


def test_every_link_and_every_test_is_there() -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", PAGE) if "://" not in link]
    assert [link for link in links if not (DEPLOY / link).exists()] == []
    tests = re.findall(r"`(tests/[\w/]+\.py)`", PAGE)
    assert len(tests) >= 5
    assert [test for test in tests if not (ROOT / test).is_file()] == []


@pytest.mark.parametrize("name", sorted({name for span in COMMANDS for name in span.split("|")}))
def test_a_command_is_there(name: str) -> None:
    assert name in commands()


def test_the_writable_places_are_the_images() -> None:
    (volume,) = (step.rest for step in stages(DEPLOY / "Dockerfile")[-1] if step.word == "VOLUME")
    assert f"only `{volume}` and `/tmp` are written to" in PAGE
