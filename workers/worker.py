"""`voxpop worker`: builds every part that the settings ask for, joins them, and runs until told to stop."""

import faulthandler
import signal
from collections.abc import Callable

import structlog

from schemas.taxonomy import load_taxonomy
from workers.analyze.judge import Judge
from workers.analyze.known_answers import KnownAnswers
from workers.analyze.redact import Redactor
from workers.analyze.routed import Route, RoutedJudge
from workers.health import Probes, serving
from workers.live_pack import LivePack
from workers.pipeline import BlockProcessor, Worker
from workers.salt import author_salt
from workers.settings import RouteSettings, Settings
from workers.slm.build import ensure_pack
from workers.slm.errors import PackError
from workers.slm.packs import Pack
from workers.store.connect import connect
from workers.store.query import Reader
from workers.store.server_clock import ServerClock
from workers.store.windows import check_windows, deduplication_windows
from workers.store.write import Writer
from workers.stream.blocks import now_s
from workers.stream.consume import BlockConsumer
from workers.stream.produce import AcknowledgedProducer
from workers.stream.topics import ensure_topics

log = structlog.get_logger(__name__)


def build_redactor(settings: Settings) -> Redactor:
    """The redactor that these settings ask for."""
    return Redactor(regions=settings.privacy.phone_regions, public_handles=settings.privacy.public_handles)


def known_answers(settings: Settings) -> KnownAnswers | None:
    """The memory for answers that these settings ask for, one for all packs of a process."""
    entries, size_mb = settings.model.cache_entries, settings.model.cache_mb
    return KnownAnswers(entries, size_mb << 20) if entries and size_mb else None


def build_judge(settings: Settings, *, follow: bool = False) -> RoutedJudge:
    """The judge that these settings ask for; builds packs that are missing. Each pack is loaded once, however many routes
    lead to it. `follow` takes up promotions while it runs.

    Raises `PackError`, `TaxonomyError`.
    """
    taxonomy, redactor, salt = load_taxonomy(settings.taxonomy), build_redactor(settings), author_salt(settings)
    loaded: dict[str, LivePack] = {}
    answers = known_answers(settings)

    def load(name: str) -> Callable[[], Pack]:
        source, progress = settings.model.base_source, log.info
        return lambda: ensure_pack(name, settings.packs_dir, settings.cache_dir, choice=source, progress=progress)

    def judge_of(pack: Pack) -> Judge:
        model = settings.model
        replicas, headline_min_chars = model.replicas, model.headline_min_chars
        return Judge(pack, taxonomy, redactor, salt, replicas=replicas, headline_min_chars=headline_min_chars)

    def live(name: str) -> LivePack:
        if name not in loaded:
            loaded[name] = LivePack(load(name), judge_of, settings.packs_dir, answers)
        return loaded[name]

    try:
        default = live(settings.model.pack)
        routes = [Route(route.product, route.source, _routed(route, live)) for route in settings.model.routes]
    except BaseException:
        for pack in loaded.values():
            pack.close()
        raise
    if follow:
        for pack in loaded.values():
            pack.watch()
    return RoutedJudge(default, routes, redactor, salt)


def _routed(route: RouteSettings, live: Callable[[str], LivePack]) -> LivePack:
    try:
        return live(route.pack)
    except PackError as error:
        told = " and ".join(
            f"{name} {value}" for name, value in (("product", route.product), ("source", route.source)) if value
        )
        raise PackError(f"the route of {told} (model.routes): {error}") from error


def run_worker(settings: Settings) -> None:
    """`voxpop worker`: builds all parts, runs until SIGTERM or SIGINT, ends cleanly. SIGUSR1 has it write to standard error
    where each of its threads is.

    Raises `VoxpopError` when a part cannot be built or the worker has to give up.
    """
    judge = build_judge(settings, follow=True)
    with connect(settings.clickhouse) as reading, connect(settings.clickhouse) as writing:
        check_windows(deduplication_windows(reading, settings.clickhouse), settings.clickhouse)
        ensure_topics(settings.kafka)
        producer = AcknowledgedProducer(settings.kafka)
        reader, writer = Reader(reading, settings.clickhouse), Writer(writing, settings.clickhouse)
        clock = ServerClock(reading, settings.clickhouse, now_s)
        processor = BlockProcessor(settings, judge, reader, writer, producer, clock, author_salt(settings))
        worker = Worker(settings, BlockConsumer(settings.kafka, settings.worker), processor, producer)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: worker.stop())
        faulthandler.register(signal.SIGUSR1)
        probes = Probes(healthy=lambda: worker.healthy, ready=lambda: worker.ready)
        with serving(probes, settings.worker.http_host, settings.worker.http_port):
            log.info("worker started", pack=settings.model.pack, topics=settings.kafka.topics)
            worker.run()
    judge.close()
    log.info("worker stopped")
