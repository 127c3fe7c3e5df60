"""The README shows what is so: its commands exist and run, its SQL answers, its links lead somewhere, its figures hold."""

import dataclasses
import gzip
import importlib.util
import json
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from functools import cache
from itertools import dropwhile
from pathlib import Path

import pytest
from pydantic import BaseModel

from schemas.events import decode_event
from schemas.samples import gold_labels, sample_messages
from workers.settings import Settings
from workers.stack import Stack, Summary
from workers.stream.files import EventFile, RowMapping
from workers.stream.topics import topic_settings

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.S | re.M)
PROSE = re.sub(r"^```.*?^```$", "", README, flags=re.S | re.M)
VOXPOP = f"{sys.executable} -m workers.cli"
Voxpop = Callable[..., subprocess.CompletedProcess[str]]


def blocks(language: str) -> list[str]:
    return [text for kind, text in BLOCKS if kind == language]


SHELL_LINES = [line.split("  #")[0].strip() for block in blocks("sh") for line in block.splitlines() if line.strip()]
SQL = [statement.strip() for block in blocks("sql") for statement in block.split(";") if statement.strip()]
# A code span that names a command, with whether the sentence says that it does not exist.
SPANS = re.findall(r"`voxpop\s([a-z][^`]*)`( do not exist| does not exist)?", PROSE)


def alternatives(span: str) -> Iterator[list[str]]:
    """`packs list|show` is two commands."""
    *fixed, last = span.split()
    yield from ([*fixed, word] for word in last.split("|"))


def commands() -> list[list[str]]:
    """The words after `voxpop` of every command that the README shows."""
    shown = []
    for line in SHELL_LINES:
        for part in line.split(" | "):
            words = list(dropwhile(lambda word: "=" in word, shlex.split(part)))  # variables that are set for it
            if words and words[0].endswith("voxpop"):
                shown.append(words[1:])
    return shown + [words for span, absent in SPANS if not absent for words in alternatives(span)]


@cache
def help_of(*path: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "workers.cli", *path, "--help"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout


# --- commands ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_every_command_of_the_readme_exists_with_the_options_it_is_shown_with(words: list[str]) -> None:
    depth = 2 if words[0] in ("packs", "deadletters", "feedback", "traces") or words[:2] == ["alerts", "replay"] else 1
    code, text = help_of(*words[:depth])
    assert code == 0
    assert [word for word in words if word.startswith("--") and word not in text] == []


def test_the_commands_that_the_readme_calls_missing_are_missing() -> None:
    missing = [words for span, absent in SPANS if absent for words in alternatives(span)]
    assert [words for words in missing if help_of(*words)[0] != 2] == []


def test_the_shell_lines_that_need_only_a_stack_run_as_they_stand(
    sample: Stack, environment: dict[str, str], tmp_path: Path
) -> None:
    rows = [{"id": f"readme-{n}", "source": "test", "product": "Thing", "text": "Fine"} for n in range(3)]
    (tmp_path / "reviews.jsonl.gz").write_bytes(gzip.compress("".join(json.dumps(r) + "\n" for r in rows).encode()))
    words = "classify|summarize|doctor|migrate|produce|deadletters list|query|packs (list|show|verify)"
    runnable = re.compile(rf"voxpop ({words})\b")
    lines = [line for line in SHELL_LINES if runnable.search(line)]
    assert len(lines) >= 5
    script = "set -e\n" + "\n".join(line.replace(".venv/bin/voxpop", VOXPOP) for line in lines)
    shell = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), **environment}
    done = subprocess.run(["sh", "-c", script], cwd=tmp_path, env=shell, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout.splitlines()[0])
    assert [mention["aspect"] for mention in answer["aspects"]] == ["sound", "battery"]
    assert "3 messages acknowledged" in done.stdout


def test_the_packs_commands_run(voxpop: Voxpop) -> None:
    assert Settings().model.pack in voxpop("packs", "list").stdout
    assert "files whole" in voxpop("packs", "verify").stdout
    assert voxpop("packs", "show").stdout.startswith("format: ")


def test_the_mapping_of_the_example_makes_events_of_such_a_file(tmp_path: Path) -> None:
    (line,) = (line for line in SHELL_LINES if " up " in line and "--input" in line)
    words = shlex.split(line)
    after = {option: [words[i + 1] for i, word in enumerate(words) if word == option] for option in ("--map", "--set")}
    path = tmp_path / words[words.index("--input") + 1]
    path.write_text("review_body,when\nGreat sound,2026-11-02\n")
    (message,) = EventFile(path, RowMapping.parse(after["--map"], after["--set"]))
    event = decode_event(message.value)
    assert (event.text, event.product, event.created_at.isoformat()) == (
        "Great sound",
        "My Phone",
        "2026-11-02T00:00:00+00:00",
    )


def test_every_make_target_and_extra_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.M))
    spans = "\n".join([*re.findall(r"`([^`]+)`", PROSE), *SHELL_LINES])
    named = set(re.findall(r"\bmake ([a-z-]+)", spans))
    assert {"run", "test"} <= named <= targets
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert set(re.findall(r"\.\[([\w-]+)\]", README)) <= set(extras)


def test_every_module_that_the_readme_runs_takes_the_options_it_is_shown_with() -> None:
    for module, rest in re.findall(r"`python -m ([\w.]+)([^`]*)`", PROSE):
        assert importlib.util.find_spec(module), module
        done = subprocess.run([sys.executable, "-m", module, "--help"], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0
        assert [option for option in re.findall(r"--\w+", rest) if option not in done.stdout] == []


# --- settings, links, documents ----------------------------------------------------------------------------------------


def test_every_variable_is_a_setting() -> None:
    names = set(re.findall(r"\bVOXPOP_[A-Z_]+[A-Z]", README)) - {"VOXPOP_CONFIG"}
    assert names
    unknown = []
    for name in names:
        model: object = Settings
        for part in name.removeprefix("VOXPOP_").lower().split("__"):
            fields = model.model_fields if isinstance(model, type) and issubclass(model, BaseModel) else {}
            model = fields[part].annotation if part in fields else None
        unknown += [name] if model is None else []
    assert unknown == []


def test_every_link_leads_to_a_file() -> None:
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", README)
    assert [link for link in links if "://" not in link and not (ROOT / link).exists()] == []


def test_the_event_shown_is_a_valid_event_with_every_required_field() -> None:
    (shown,) = blocks("json")
    assert decode_event(shown.encode()).product == "My Phone"


def test_the_documented_json_of_up_has_the_keys_it_prints() -> None:
    (documented,) = re.findall(r"`(\{\"produced\".*?\})`", README)
    assert re.findall(r'"(\w+)"', documented) == [field.name for field in dataclasses.fields(Summary)]


# --- figures and SQL ---------------------------------------------------------------------------------------------------


def test_the_counts_of_the_sample_stream_are_those_of_the_sample_stream() -> None:
    messages, insights = list(sample_messages()), len(gold_labels())
    bad = sum(message.expected_reason is not None for message in messages)
    resends = len(messages) - insights - bad
    assert f"{len(messages)} messages · {insights} insights · {bad} dead letters · {resends} resends" in README
    prose = " ".join(PROSE.split())
    assert f"All {len(messages)} are" in prose
    assert f"{insights} distinct events, {resends} sent twice (they count once), and {bad} malformed" in prose


@pytest.mark.parametrize("statement", SQL)
def test_every_sql_example_answers_with_rows_on_the_sample_stream(sample: Stack, statement: str) -> None:
    assert sample.reader.select(statement).result_rows


def test_the_views_of_the_readme_are_the_views_there_are(sample: Stack) -> None:
    documented = set(re.findall(r"^\| `(v_\w+)` \|", README, re.M))
    sql = "SELECT name FROM system.tables WHERE database = 'voxpop' AND engine = 'View'"
    assert documented == {name for (name,) in sample.reader.select(sql).result_rows}


def test_every_topic_and_table_that_the_readme_names_exists(sample: Stack) -> None:
    named = set(re.findall(r"`(voxpop\.\w+)`", README)) - {"voxpop.toml"}
    tables = sample.reader.select("SELECT name FROM system.tables WHERE database = 'voxpop'").result_rows
    assert named <= {*topic_settings(sample.settings.kafka), *(f"voxpop.{name}" for (name,) in tables)}
