"""A promotion is taken up between batches: no batch is judged by two versions, and a version that fails changes nothing."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from schemas.insights import Analysis, Route, Sentiment
from tests.reference.small_pack import small_pack
from workers import live_pack
from workers.analyze.judge import Judge, Request
from workers.analyze.known_answers import KnownAnswers
from workers.live_pack import LivePack
from workers.slm.derive import copied
from workers.slm.errors import PackError
from workers.slm.packs import Pack, load_pack
from workers.slm.versions import Pointer, pack_path, write_pointer

LIMIT_S = 20.0


class VersionJudge(Judge):
    """Stands in for a judge of a pack: says which version it is. A batch waits while `hold` is set."""

    def __init__(self, pack: Pack, *, broken: bool = False) -> None:
        self._of, self._broken, self.identity = pack, broken, pack.version
        self.hold, self.entered = threading.Event(), threading.Event()
        self.hold.set()
        self.closed = False

    def judge(self, requests: Sequence[Request]) -> list[Analysis | None]:
        assert not self.closed
        self.entered.set()
        assert self.hold.wait(LIMIT_S)
        return [None if self._broken else self._analysis_of(request) for request in requests]

    def close(self) -> None:
        self.closed = True

    def _analysis_of(self, request: Request) -> Analysis:
        sentiment = Sentiment(label="neutral", score=0, confidence=1)
        return Analysis(text=request.text, language="en", sentiment=sentiment, pack="p", pack_version=self._of.version)


class WatchedLock:
    """A lock that tells when somebody has to wait for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.waited_for = threading.Event()

    def __enter__(self) -> None:
        if not self._lock.acquire(blocking=False):
            self.waited_for.set()
            self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


class Bench:
    """A live pack over a real pack with two versions; the models are stand-ins."""

    def __init__(self, directory: Path, answers: KnownAnswers | None = None) -> None:
        self.packs = directory / "packs"
        self.first = copied(small_pack(directory), self.packs, "mine")
        self.second = load_pack(self._changed(self.first))
        self.judges: list[VersionJudge] = []
        self.broken = False
        self.live = LivePack(self._load, self._judge_of, self.packs, answers)

    def promote(self, pack: Pack) -> None:
        write_pointer(self.packs, "mine", Pointer(version=pack.version))

    def versions(self, count: int = 3) -> set[str]:
        return {a.pack_version for a in self.live.judge([Request("x")] * count) if a}

    def _load(self) -> Pack:
        return load_pack(pack_path(self.packs, "mine"))

    def _judge_of(self, pack: Pack) -> Judge:
        self.judges.append(VersionJudge(pack, broken=self.broken))
        return self.judges[-1]

    def _changed(self, pack: Pack) -> Path:
        path = pack.path.with_name("1+ffffffff")
        path.mkdir()
        for file in sorted(pack.path.rglob("*")):
            target = path / file.relative_to(pack.path)
            if file.is_dir():
                target.mkdir()
            else:
                target.write_bytes(file.read_bytes().replace(pack.version.encode(), b"1+ffffffff"))
        return path


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setattr(live_pack, "LOOK_EVERY_S", 0.01)
    made = Bench(tmp_path)
    made.live.watch()
    yield made
    for judge in made.judges:
        judge.hold.set()
    made.live.close()


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.005)


def test_a_promotion_is_taken_up_and_the_old_model_closed_without_a_batch_being_asked_for(bench: Bench) -> None:
    assert bench.versions() == {bench.first.version}
    bench.promote(bench.second)
    wait_for(lambda: bench.live.version == bench.second.version)
    assert bench.versions() == {bench.second.version}
    wait_for(lambda: bench.judges[0].closed)
    bench.promote(bench.first)
    wait_for(lambda: bench.live.version == bench.first.version)
    assert bench.versions() == {bench.first.version}


def test_a_batch_that_is_under_way_ends_with_the_version_it_began_with(bench: Bench) -> None:
    judge = bench.judges[0]
    lock = WatchedLock()
    bench.live._lock = lock  # type: ignore[assignment]
    judge.hold.clear()
    judge.entered.clear()
    found: list[set[str]] = []
    batch = threading.Thread(target=lambda: found.append(bench.versions(50)))
    batch.start()
    assert judge.entered.wait(LIMIT_S)
    bench.promote(bench.second)
    assert lock.waited_for.wait(LIMIT_S)
    assert bench.live.version == bench.first.version
    assert not judge.closed
    judge.hold.set()
    batch.join(LIMIT_S)
    assert found == [{bench.first.version}]
    wait_for(lambda: bench.live.version == bench.second.version and judge.closed)


@pytest.mark.parametrize("fault", ["damaged", "gone", "judges nothing"])
def test_a_version_that_cannot_be_used_is_logged_in_a_line_and_the_old_one_goes_on(
    bench: Bench, fault: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if fault == "damaged":
        (bench.second.path / "heads.safetensors").write_bytes(b"x")
    elif fault == "gone":
        bench.second.path.rename(bench.second.path.with_name("elsewhere"))
    bench.broken = fault == "judges nothing"
    bench.promote(bench.second)
    said = ""

    def logged() -> bool:
        nonlocal said
        said += capsys.readouterr().out
        return "cannot be used" in said

    wait_for(logged)
    assert len([line for line in said.splitlines() if "cannot be used" in line]) == 1
    assert "voxpop packs rollback mine" in said
    assert bench.versions() == {bench.first.version}
    bench.broken = False
    bench.promote(bench.first)
    assert bench.versions() == {bench.first.version}


def test_a_first_version_that_judges_nothing_is_refused(bench: Bench) -> None:
    bench.broken = True
    with pytest.raises(PackError, match="judges no text"):
        LivePack(bench._load, bench._judge_of, bench.packs)
    assert bench.judges[-1].closed


def test_no_answer_of_an_old_version_outlives_a_promotion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_pack, "LOOK_EVERY_S", 0.01)
    bench = Bench(tmp_path, KnownAnswers(10, 1 << 20))
    with closing(bench.live):
        texts = [Request("x"), live_pack.TRIED_WITH]
        assert routes(bench.live.judge(texts)) == [(bench.first.version, Route.SLM)] * 2
        assert routes(bench.live.judge(texts)) == [(bench.first.version, Route.CACHE)] * 2
        bench.live.watch()
        bench.promote(bench.second)
        wait_for(lambda: bench.live.version == bench.second.version)
        assert routes(bench.live.judge(texts)) == [(bench.second.version, Route.SLM)] * 2
        bench.broken = True  # and a version that was in use before is tried itself, not what is remembered of it
        bench.promote(bench.first)
        wait_for(lambda: len(bench.judges) == 3 and bench.judges[-1].closed)
        assert routes(bench.live.judge(texts)) == [(bench.second.version, Route.CACHE)] * 2


def routes(answers: Sequence[Analysis | None]) -> list[tuple[str, Route] | None]:
    return [answer and (answer.pack_version, answer.route) for answer in answers]
