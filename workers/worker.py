"""`voxpop worker`: builds every part that the settings ask for, joins them, and runs until told to stop."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from schemas.taxonomy import load_taxonomy
from workers.analyze.judge import Judge
from workers.analyze.redact import Redactor
from workers.health import HealthServer, Probes
from workers.pipeline import BlockProcessor, Worker
from workers.salt import author_salt
from workers.settings import Settings
from workers.slm.build import ensure_pack
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


def configured_pack(settings: Settings) -> Pack:
    """The pack that these settings name, whole; built when it is missing. Raises `PackError`."""
    return ensure_pack(
        settings.model.pack,
        settings.packs_dir,
        settings.cache_dir,
        choice=settings.model.base_source,
        progress=lambda line: log.info(line),
    )


def build_judge(settings: Settings) -> Judge:
    """The judge that these settings ask for; builds the pack when it is missing. Raises `PackError`, `TaxonomyError`."""
    pack = configured_pack(settings)
    redactor = Redactor(regions=settings.privacy.phone_regions, public_handles=settings.privacy.public_handles)
    return Judge(
        pack,
        load_taxonomy(settings.taxonomy),
        redactor,
        author_salt(settings),
        replicas=settings.model.replicas,
        headline_min_chars=settings.model.headline_min_chars,
    )


def run_worker(settings: Settings) -> None:
    """`voxpop worker`: builds all parts, runs until SIGTERM or SIGINT, ends cleanly.

    Raises `VoxpopError` when a part cannot be built or the worker has to give up.
    """
    judge = build_judge(settings)
    with connect(settings.clickhouse) as reading, connect(settings.clickhouse) as writing:
        check_windows(deduplication_windows(reading, settings.clickhouse), settings.clickhouse)
        ensure_topics(settings.kafka)
        producer = AcknowledgedProducer(settings.kafka)
        reader, writer = Reader(reading, settings.clickhouse), Writer(writing, settings.clickhouse)
        clock = ServerClock(reading, settings.clickhouse, now_s)
        processor = BlockProcessor(settings, judge, reader, writer, producer, clock)
        worker = Worker(settings, BlockConsumer(settings.kafka, settings.worker), processor, producer)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: worker.stop())
        with _probes(settings, worker):
            log.info("worker started", pack=settings.model.pack, topics=settings.kafka.topics)
            worker.run()
    judge.close()
    log.info("worker stopped")


@contextmanager
def _probes(settings: Settings, worker: Worker) -> Iterator[None]:
    if settings.worker.http_port is None:
        yield
        return
    probes = Probes(healthy=lambda: worker.healthy, ready=lambda: worker.ready)
    server = HealthServer(settings.worker.http_host, settings.worker.http_port, probes)
    log.info("serving /metrics /healthz /readyz", host=settings.worker.http_host, port=server.port)
    try:
        yield
    finally:
        server.close()
