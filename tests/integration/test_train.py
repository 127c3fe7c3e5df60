"""A user's own labels, from a file to the rows: trained, gated, promoted and rolled back under a running worker."""

import json
import os
import random
import re
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from schemas.taxonomy import load_taxonomy
from tests.integration.conftest import Voxpop
from workers.settings import Settings
from workers.stack import Stack, running_stack
from workers.stream.produce import AcknowledgedProducer, Outgoing

ROOT = Path(__file__).parents[2]
PACK = "e5-small-multilingual"
TOPIC = "voxpop.reviews"
THINGS = {"en": ("headphones", "kettle", "lamp", "speaker"), "es": ("los auriculares", "el hervidor", "la lámpara")}
SENTENCES = {
    "billing": {
        "en": ("I was charged twice for the {}", "The invoice for the {} is wrong", "They will not refund the {}"),
        "es": ("Me cobraron dos veces {}", "La factura de {} está mal", "No me devuelven el dinero de {}"),
    },
    "delivery": {
        "en": ("The parcel with the {} came late", "The courier left the {} next door", "The {} never arrived"),
        "es": ("El paquete con {} llegó tarde", "El repartidor dejó {} en otra casa", "Nunca me llegó {}"),
    },
    "sound": {
        "en": ("The {} makes a loud noise", "I love how quiet the {} is", "There is a hum in the {}"),
        "es": ("Me gusta lo bien que suena {}", "Hace mucho ruido {}", "Se oye un zumbido en {}"),
    },
}


def labelled() -> list[tuple[str, str]]:
    """Every sentence with every thing, and its label, in a fixed order that mixes them."""
    rows = [
        (sentence.format(thing), label)
        for label, languages in SENTENCES.items()
        for language, sentences in languages.items()
        for sentence in sentences
        for thing in THINGS[language]
    ]
    random.Random(1).shuffle(rows)
    return rows


def write_csv(path: Path, rows: list[tuple[str, str]]) -> Path:
    path.write_text("text,label\n" + "".join(f'"{text}","{label}"\n' for text, label in rows), encoding="utf-8")
    return path


def wait_for(condition: Callable[[], bool], what: str, limit_s: float = 90) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, f"waited {limit_s} s for {what}"
        time.sleep(0.05)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state directory of its own with the built pack, which is linked, not copied, where that is possible."""

    def link(source: str, target: str) -> None:
        try:
            os.link(source, target)
        except OSError:
            shutil.copyfile(source, target)

    built = Settings().packs_dir / PACK
    shutil.copytree(built, tmp_path / "state" / "packs" / PACK, copy_function=link)
    return tmp_path / "state"


class Shell:
    """Runs commands as a user of that state directory."""

    def __init__(self, voxpop: Voxpop, environment: dict[str, str]) -> None:
        self._voxpop, self._environment = voxpop, environment

    def __call__(self, *words: str, code: int = 0, **more: str) -> subprocess.CompletedProcess[str]:
        done = self._voxpop(*words, environment=self._environment | more, timeout_s=200)
        assert done.returncode == code, done.stderr
        assert code == 0 or len(done.stderr.splitlines()) == 1
        return done

    def train(self, *words: str) -> dict[str, Any]:
        report: dict[str, Any] = json.loads(self("train", *words, "--json").stdout)
        return report

    def classify(self, lines: list[dict[str, str]], **more: str) -> list[dict[str, Any]]:
        file = Path(self._environment["VOXPOP_STATE_DIR"]) / "lines.jsonl"
        file.write_text("".join(json.dumps(line) + "\n" for line in lines))
        return [json.loads(line) for line in self("classify", str(file), "--json", **more).stdout.splitlines()]

    def versions(self, pack: str = PACK) -> list[dict[str, Any]]:
        rows = [json.loads(line) for line in self("packs", "list", "--json").stdout.splitlines()]
        (found,) = (row["versions"] for row in rows if row["name"] == pack)
        return list(found)

    def current(self, pack: str = PACK) -> str:
        (version,) = (version["version"] for version in self.versions(pack) if version["current"])
        return str(version)


@pytest.fixture
def shell(state: Path, voxpop: Voxpop) -> Shell:
    return Shell(voxpop, {"VOXPOP_STATE_DIR": str(state)})


class Sender:
    """Sends texts, one message each, and remembers what every event id said."""

    def __init__(self, stack: Stack) -> None:
        self.sent: dict[str, str] = {}
        self._producer = AcknowledgedProducer(stack.settings.kafka)

    def send(self, prefix: str, texts: list[str]) -> list[str]:
        ids = [f"{prefix}-{number}" for number in range(len(texts))]
        self._producer.send_all([self._message(id_, text) for id_, text in zip(ids, texts, strict=True)])
        self.sent |= dict(zip(ids, texts, strict=True))
        return ids

    def close(self) -> None:
        self._producer.close()

    def _message(self, id_: str, text: str) -> Outgoing:
        event = {"id": id_, "kind": "review", "source": "test", "product": f"P{len(text) % 7}", "text": text}
        value = json.dumps(event | {"created_at": "2026-11-02T10:00:00Z"}).encode()
        return Outgoing(TOPIC, event["product"].encode(), value)


@pytest.fixture
def served(state: Path, tmp_path: Path) -> Iterator[Stack]:
    """A stack of its own with one worker, over that state directory."""
    with running_stack(Settings(state_dir=state), tmp_path / "stack") as stack:
        yield stack


def rows(stack: Stack, sql: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in stack.reader.select(sql).result_rows]


def test_a_new_label_set_goes_through_the_running_worker_and_back(served: Stack, shell: Shell, tmp_path: Path) -> None:
    worker, sender = served.workers[0], Sender(served)
    pid = worker.pid
    built = shell.current()
    texts = [text for text, _ in labelled()]

    def judged(ids: list[str]) -> dict[str, tuple[str, dict[str, list[str]]]]:
        sql = "SELECT event_id, pack_version, labels FROM v_recent"
        found = {id_: (version, labels) for id_, version, labels in rows(served, sql)}
        return {id_: found[id_] for id_ in ids if id_ in found}

    def stored(ids: list[str]) -> dict[str, tuple[str, dict[str, list[str]]]]:
        wait_for(lambda: len(judged(ids)) == len(ids), "the rows")
        return judged(ids)

    def taken_up(version: str) -> None:
        def told() -> bool:
            lines = [json.loads(line) for line in worker.log_file.read_text().splitlines() if line.startswith("{")]
            events = [line for line in lines if line["event"] == "a pack's new version judges from now on"]
            return [line["version"] for line in events].count(version) == 1

        wait_for(told, f"the worker to take up {version}")

    before = stored(sender.send("before", texts))
    assert {judgement for judgement, _ in before.values()} == {built}
    assert not any("topic" in labels for _, labels in before.values())

    stop = threading.Event()
    meanwhile: list[str] = []

    def stream() -> None:
        turn = 0
        while not stop.is_set():
            meanwhile.extend(sender.send(f"meanwhile-{turn}", texts[turn % 50 : turn % 50 + 10]))
            turn += 1
            time.sleep(0.05)

    streaming = threading.Thread(target=stream)
    streaming.start()
    try:
        report = shell.train(str(write_csv(tmp_path / "topics.csv", labelled())), "--head", "topic", "--promote")
        version = report["version"]
        assert report["promoted"]
        assert report["holdout"]["macro_f1"] > report["holdout"]["most_frequent_macro_f1"]
        taken_up(version)
    finally:
        stop.set()
        streaming.join()

    after = stored(sender.send("after", texts))
    assert {judgement for judgement, _ in after.values()} == {version}
    right = dict(labelled())
    hits = sum(labels["topic"] == [right[sender.sent[id_]]] for id_, (_, labels) in after.items())
    assert hits >= 0.85 * len(after)

    between = stored(meanwhile)
    assert {judgement for judgement, _ in between.values()} <= {built, version}
    assert all((judgement == version) == ("topic" in labels) for judgement, labels in between.values())

    assert shell("packs", "rollback", PACK).stdout.startswith(f"{PACK} {built} is current again")
    taken_up(built)
    back = stored(sender.send("back", texts))
    assert all(judgement == built and "topic" not in labels for judgement, labels in back.values())
    sender.close()

    counted = Counter(dict(rows(served, "SELECT event_id, count() FROM insights GROUP BY event_id")))
    assert counted == Counter(dict.fromkeys(sender.sent, 1)), "each event once"
    assert rows(served, "SELECT count() FROM dead_letters") == [(0,)]
    assert rows(served, "SELECT sum(volume) FROM v_product_daily") == [(len(sender.sent),)]
    by_batch = "SELECT max(n) FROM (SELECT uniqExact(pack_version) AS n FROM insights GROUP BY ingested_at)"
    assert rows(served, by_batch) == [(1,)]
    assert worker.running
    assert worker.pid == pid


def test_a_new_aspect_goes_through_the_worker_by_its_description_alone(state: Path, tmp_path: Path) -> None:
    described = load_taxonomy().model_dump(mode="json")
    described["aspects"].append(
        {
            "name": "pets",
            "title": {"en": "Pets", "es": "Mascotas"},
            "descriptions": {
                "en": ["dogs and cats, whether pets are welcome"],
                "es": ["perros y gatos, si admiten mascotas"],
            },
        }
    )
    file = tmp_path / "taxonomy.yaml"
    file.write_text(yaml.safe_dump(described, allow_unicode=True), encoding="utf-8")
    texts = [
        "They did not let my dog in, no pets welcome at all. Shame.",
        "No admiten mascotas. Una pena.",
        "The lamp is bright.",
    ]
    with running_stack(Settings(state_dir=state, taxonomy=file), tmp_path / "stack") as stack:
        sender = Sender(stack)
        sender.send("pets", texts)
        wait_for(lambda: rows(stack, "SELECT count() FROM insights") == [(len(texts),)], "the rows")
        sender.close()
        mentions = "SELECT event_id, sentiment FROM aspect_mentions WHERE aspect = 'pets' ORDER BY event_id"
        assert rows(stack, mentions) == [("pets-0", "negative"), ("pets-1", "negative")]
        assert rows(stack, "SELECT sum(mentions) FROM v_aspect_trends WHERE aspect = 'pets'") == [(2,)]


def test_a_worse_version_is_refused_with_both_numbers_and_forced_only_on_the_record(
    shell: Shell, tmp_path: Path
) -> None:
    good = shell.train(str(write_csv(tmp_path / "good.csv", labelled())), "--head", "topic", "--promote")
    names = list(SENTENCES)
    muddled = [(text, names[(names.index(label) + number % 3) % 3]) for number, (text, label) in enumerate(labelled())]
    held = write_csv(tmp_path / "held.csv", labelled()[:40])
    words = [str(write_csv(tmp_path / "bad.csv", muddled)), "--head", "topic", "--holdout", str(held)]
    refused = shell("train", *words, "--promote", code=1)
    *_, made = shell.versions()
    bad, figure = made["version"], made["training"]["metrics"]["macro_f1"]
    assert f"{bad} is worse in topic: macro F1 {figure:.4f} beside " in refused.stderr
    assert "of the current version, 40 holdout rows" in refused.stderr
    assert f"macro F1 {figure:.4f}" in shell("packs", "promote", PACK, bad, code=1).stderr
    assert shell.current() == good["version"]

    shell("packs", "promote", PACK, bad, "--force")
    assert [(v["version"], v["forced"], v["current"]) for v in shell.versions()][1:] == [
        (good["version"], False, False),
        (bad, True, True),
    ]
    shell("packs", "rollback", PACK)
    *_, standing, lineage = shell.versions()
    assert standing["current"]
    assert lineage["parent"] == f"{PACK} {good['version']}"
    assert (lineage["training"]["file"], lineage["training"]["rows"]) == ("bad.csv", len(muddled))
    assert "files whole" in shell("packs", "verify").stdout


def test_a_head_that_there_is_keeps_its_labels_and_gets_better_or_stays(shell: Shell, tmp_path: Path) -> None:
    polarity = {"billing": "negative", "delivery": "neutral", "sound": "positive"}
    mine = [(text, polarity[label]) for text, label in labelled()]  # not what they feel: what this user says they are
    report = shell.train(str(write_csv(tmp_path / "mine.csv", mine)), "--head", "sentiment", "--promote")
    assert report["labels"] == ["negative", "neutral", "positive"]
    assert report["current"]["macro_f1"] < report["holdout"]["macro_f1"]
    (answer,) = shell.classify([{"text": mine[0][0]}])
    assert (answer["pack_version"], answer["sentiment"]["label"]) == (report["version"], mine[0][1])
    strange = write_csv(tmp_path / "strange.csv", labelled())
    assert (
        "this head has negative, neutral, positive"
        in shell("train", str(strange), "--head", "sentiment", code=2).stderr
    )


def test_several_labels_a_text_make_a_head_that_gives_any_number(shell: Shell, tmp_path: Path) -> None:
    pairs = [(f"{a}. {b}", f"{one}|{other}") for (a, one), (b, other) in zip(labelled(), labelled()[5:], strict=False)]
    none = [(f"It is fine, number {number}", "") for number in range(20)]
    path = write_csv(tmp_path / "many.csv", [*labelled(), *pairs, *none])
    report = shell.train(str(path), "--head", "topics", "--separator", "|", "--promote")
    assert (report["kind"], set(report["thresholds"])) == ("sigmoid", set(SENTENCES))
    both, nothing = shell.classify(
        [{"text": "I was charged twice. The courier left it next door."}, {"text": "It is fine"}]
    )
    assert set(both["labels"]["topics"]) >= {"billing", "delivery"}
    assert nothing["labels"] == {"topics": []}


def test_business_units_have_packs_of_their_own_side_by_side(shell: Shell, tmp_path: Path) -> None:
    shell("packs", "copy", PACK, "airline")
    report = shell.train(
        str(write_csv(tmp_path / "topics.csv", labelled())), "--head", "topic", "--pack", "airline", "--promote"
    )
    routes = json.dumps([{"product": "Flight", "pack": "airline"}, {"source": "desk", "pack": "airline"}])
    lines = [
        {"text": "The courier left it next door", **fields}
        for fields in ({"product": "Flight"}, {"product": "Phone"}, {"product": "Phone", "source": "desk"})
    ]
    answers = shell.classify(lines, VOXPOP_MODEL__ROUTES=routes)
    assert [(answer["pack"], "topic" in answer["labels"]) for answer in answers] == [
        ("airline", True),
        (PACK, False),
        ("airline", True),
    ]
    assert answers[0]["pack_version"] == report["version"] == shell.current("airline")
    absent = json.dumps([{"product": "Flight", "pack": "absent"}])
    refused = shell("classify", str(write_csv(tmp_path / "any.csv", [])), code=1, VOXPOP_MODEL__ROUTES=absent).stderr
    assert "the route of product Flight (model.routes): there is no pack 'absent'" in refused
    assert "voxpop packs copy" in refused


def test_wrong_use_is_refused_in_a_line(shell: Shell, tmp_path: Path) -> None:
    path = str(write_csv(tmp_path / "topics.csv", labelled()))
    assert "it has: text, label" in shell("train", path, "--head", "topic", "--text-column", "body", code=2).stderr
    assert "goes with --promote" in shell("train", path, "--head", "topic", "--force", code=2).stderr
    assert "none of aspects, attention" in shell("train", path, "--head", "aspects", code=2).stderr
    assert "none to go back to" in shell("packs", "rollback", PACK, code=1).stderr
    assert len(shell.versions()) == 1


def test_the_example_of_the_readme_runs_as_it_stands(state: Path) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"## Your own labels\n.*?```sh\n(.*?)```", readme, re.S)
    script = "set -e\n" + example.replace(".venv/bin/voxpop", f"{sys.executable} -m workers.cli")
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "COLUMNS": "200", "VOXPOP_STATE_DIR": str(state)}
    done = subprocess.run(["sh", "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stderr
    (answer,) = (json.loads(line) for line in done.stdout.splitlines() if line.startswith("{"))
    assert answer["labels"]["topic"] == ["delivery"]
    assert "is current again" in done.stdout
