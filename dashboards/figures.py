"""Every figure that API and pages show, worked out of the views once for everybody who asks at about the same time."""

import asyncio
from typing import IO

from anyio import to_thread

from dashboards import digests, models, quality_statements, rows, statements
from dashboards.alerts import Alerts, AskedAlerts, alert_row, alerts
from dashboards.asking import Ask, AskedQuestion, Asking, QuestionAnswer
from dashboards.cache import Answer, AnswerCache
from dashboards.clickhouse import LimitedReader
from dashboards.comparison import compared
from dashboards.digests import AskedDigests, AskedSources, Digests, digest
from dashboards.drift import Drift, drift
from dashboards.emerging import emerging
from dashboards.export import as_csv
from dashboards.feedback import AskedCorrection, AskedReview, Corrected, Feedback, ToReview
from dashboards.paging import Key, decode, encode
from dashboards.parameters import (
    AskedComparison,
    AskedIssues,
    AskedTexts,
    AskedTrend,
    AskedWindow,
    ProductWindow,
    TextFilter,
    Window,
)
from dashboards.reads import Reads
from dashboards.worker_metrics import read_workers
from schemas.taxonomy import Taxonomy
from workers.drift.topic_moves import REFERENCE_DAYS, WEEK_DAYS
from workers.errors import VoxpopError
from workers.settings import Settings

THROUGHPUT_MINUTES = 60
HEALTH_DAYS = 30
LETTERS = 50


class UnknownProduct(VoxpopError):
    """There is no text of this product."""


class Figures:
    """For one event loop. Every method raises `StoreUnavailable` or `StoreRefused` when ClickHouse does not answer."""

    def __init__(self, settings: Settings, taxonomy: Taxonomy, ask: Ask | None = None) -> None:
        self._metrics = settings.dashboard.worker_metrics
        self._taxonomy = taxonomy
        self._cache = AnswerCache(settings.dashboard.cache_s)
        self.reader = LimitedReader(settings.clickhouse, settings.dashboard)
        self._feedback = Feedback(settings, self.reader)
        self._asking = Asking(self.reader, ask)
        self.reads = Reads(settings)

    async def overview(self, asked: AskedWindow) -> Answer[models.Overview]:
        """Totals, days, products, movers and aspects of a window and the one before."""
        return await self._cache.get(("overview", asked), lambda: self._overview(asked))

    async def products(self, asked: AskedWindow) -> Answer[models.Products]:
        """Every product with texts in the window."""
        return await self._cache.get(("products", asked), lambda: self._products(asked))

    async def product(self, product: str, asked: AskedWindow) -> Answer[models.ProductDetail]:
        """One product. Raises `UnknownProduct`."""
        return await self._cache.get(("product", product, asked), lambda: self._product(product, asked))

    async def comparison(self, asked: AskedComparison) -> Answer[models.Comparison]:
        """A product beside another, or beside its own days before. Raises `UnknownProduct`."""
        return await self._cache.get(("comparison", asked), lambda: self._comparison(asked))

    async def aspects(self, asked: ProductWindow) -> Answer[models.Aspects]:
        """Mentions by aspect, beside the window before."""
        return await self._cache.get(("aspects", asked), lambda: self._aspects(asked))

    async def trend(self, asked: AskedTrend) -> Answer[models.Trend]:
        """Day by day."""
        return await self._cache.get(("trend", asked), lambda: self._trend(asked))

    async def issues(self, asked: AskedIssues) -> Answer[models.Issues]:
        """What customers complain of most."""
        return await self._cache.get(("issues", asked), lambda: self._issues(asked.product, asked.limit))

    async def alerts(self, asked: AskedAlerts, *, with_texts: bool) -> Answer[Alerts]:
        """What is unusual, open ones first; quotes only for those who may read texts."""

        async def ask() -> Alerts:
            found = await self.reader.rows(alerts(asked))
            return Alerts(alerts=[alert_row(row, with_texts=with_texts) for row in found])

        return await self._cache.get(("alerts", asked, with_texts), ask)

    async def texts(self, asked: AskedTexts) -> Answer[models.Texts]:
        """A page of texts. Raises `BadCursor`."""
        after = decode(asked.cursor) if asked.cursor else None
        return await self._cache.get(("texts", asked), lambda: self._texts(asked, asked.limit, after))

    async def count(self, asked: TextFilter) -> Answer[models.TextCount]:
        """How many texts a filter finds."""
        asked = TextFilter.model_validate(asked.model_dump(include=set(TextFilter.model_fields)))
        return await self._cache.get(("count", asked), lambda: self._count(asked))

    async def csv(self, asked: TextFilter, most: int) -> bytes:
        """The newest `most` texts that a filter finds, as CSV; not kept. Made in a thread: others are answered meanwhile."""
        found = await self.reader.rows(statements.texts(asked, most))
        return await to_thread.run_sync(lambda: as_csv(rows.text(row) for row in found))

    async def parquet(self, asked: TextFilter, most: int) -> IO[bytes]:
        """The same as a Parquet file that ClickHouse itself writes. The caller closes it."""
        return await self.reader.file(statements.texts_for_file(asked, most), "Parquet")

    async def digests(self, asked: AskedDigests) -> Answer[Digests]:
        """The latest digest of each product, or of one."""
        return await self._cache.get(("digests", asked), lambda: self._digests(asked))

    async def sources(self, asked: AskedSources) -> Answer[models.Texts]:
        """The texts that a sentence cites."""
        key = ("sources", asked.product, tuple(asked.event))
        return await self._cache.get(key, lambda: self._sources(asked))

    async def ask(self, asked: AskedQuestion) -> Answer[QuestionAnswer]:
        """A question's answer. Raises `WrongQuestion` or `CannotAnswer`."""
        return await self._cache.get(("ask", asked), lambda: self._asking.answer(asked))

    async def choices(self) -> Answer[models.Choices]:
        """What filters can be set to."""
        return await self._cache.get("choices", self._choices)

    async def health(self) -> Answer[models.HealthFigures]:
        """Throughput, lag, dead letters, packs, and how sure the model is."""
        return await self._cache.get("health", self._health)

    async def drift(self) -> Answer[Drift]:
        """Whether what the model says has shifted."""
        return await self._cache.get("drift", self._drift)

    async def to_review(self, asked: AskedReview) -> Answer[ToReview]:
        """Texts that the model was least sure of."""
        return await self._cache.get(("to review", asked), lambda: self._to_review(asked))

    async def correct(self, asked: AskedCorrection, by: str) -> Corrected:
        """Writes what `by` says of a label. Raises `UnknownEvent` too."""
        return await self._feedback.add(asked, by)

    async def letters(self) -> Answer[models.Letters]:
        """The latest dead letters, without their bytes."""
        return await self._cache.get("letters", self._letters)

    async def window(self, asked: AskedWindow, product: str | None = None) -> Window:
        """The days that are meant, once it is known until when there are texts."""
        if asked.first is not None:
            return asked.until(None)
        return asked.until((await self._latest_day(product)).value.last)

    # --- working out ---------------------------------------------------------------------------------------------------

    async def _overview(self, asked: AskedWindow) -> models.Overview:
        window = await self.window(asked)
        both = Window(window.before.first, window.last)
        now, before, days, aspects, by_product = await self.reader.all(
            statements.totals(window),
            statements.totals(window.before),
            statements.daily(both),
            statements.aspects(window),
            statements.aspects_of_products(window),
        )
        products, earlier = [rows.product(row) for row in now], [rows.product(row) for row in before]
        return models.Overview(
            window=rows.days(window),
            before=rows.days(window.before),
            totals=rows.summed(products),
            totals_before=rows.summed(earlier),
            days=rows.every_day(both, days),
            products=products,
            movers=[rows.mover_row(mover) for mover in rows.changes(products, earlier)],
            emerging=emerging(by_product),
            aspects=[rows.aspect(row) for row in aspects],
        )

    async def _products(self, asked: AskedWindow) -> models.Products:
        window = await self.window(asked)
        found = await self.reader.rows(statements.totals(window))
        return models.Products(window=rows.days(window), products=[rows.product(row) for row in found])

    async def _product(self, product: str, asked: AskedWindow) -> models.ProductDetail:
        window = await self._window_of(product, asked)
        both = Window(window.before.first, window.last)
        now, before, days = await self.reader.all(
            statements.totals(window, product),
            statements.totals(window.before, product),
            statements.daily(both, product),
        )
        products, earlier = [rows.product(row) for row in now], [rows.product(row) for row in before]
        changes = rows.changes(products, earlier)
        return models.ProductDetail(
            product=product,
            window=rows.days(window),
            before=rows.days(window.before),
            totals=rows.summed(products),
            totals_before=rows.summed(earlier),
            change=rows.mover_row(changes[0]) if changes else None,
            days=rows.every_day(both, days),
            aspects=await self._aspect_changes(window, product),
            issues=(await self._issues(product, 5)).issues,
        )

    async def _comparison(self, asked: AskedComparison) -> models.Comparison:
        window = await self._window_of(asked.product, asked)
        if asked.other is None:
            return await compared(self.reader, (asked.product, window), (asked.product, window.before))
        await self._window_of(asked.other, asked)
        return await compared(self.reader, (asked.product, window), (asked.other, window))

    async def _window_of(self, product: str, asked: AskedWindow) -> Window:
        """The days that are meant. Raises `UnknownProduct`."""
        if (await self._latest_day(product)).value.last is None:
            raise UnknownProduct("there is no text of this product; see /api/v1/choices for those that there are")
        return await self.window(asked, product)

    async def _aspects(self, asked: ProductWindow) -> models.Aspects:
        window = await self.window(asked, asked.product)
        return models.Aspects(window=rows.days(window), aspects=await self._aspect_changes(window, asked.product))

    async def _aspect_changes(self, window: Window, product: str | None) -> list[models.AspectChange]:
        now, before = await self.reader.all(
            statements.aspects(window, product), statements.aspects(window.before, product)
        )
        earlier = {row[0]: rows.mix(row[1:]) for row in before}
        nothing = models.Mix(texts=0, negative=0, neutral=0, positive=0)
        return [
            models.AspectChange(**rows.aspect(row).model_dump(), before=earlier.get(row[0], nothing)) for row in now
        ]

    async def _trend(self, asked: AskedTrend) -> models.Trend:
        window = await self.window(asked, asked.product)
        if asked.aspect:
            statement = statements.aspect_daily(window, asked.aspect, asked.product)
        elif asked.source or asked.language:
            statement = statements.daily_by_origin(window, asked.product, asked.source, asked.language)
        else:
            statement = statements.daily(window, asked.product)
        return models.Trend(window=rows.days(window), days=rows.every_day(window, await self.reader.rows(statement)))

    async def _issues(self, product: str | None, limit: int) -> models.Issues:
        found = await self.reader.rows(statements.issues(product, limit))
        names = list(models.Issue.model_fields)
        return models.Issues(issues=[models.Issue(**dict(zip(names, row, strict=True))) for row in found])

    async def _texts(self, asked: TextFilter, limit: int, after: Key | None) -> models.Texts:
        found = await self.reader.rows(statements.texts(asked, limit + 1, after))
        shown = found[:limit]
        more = encode(rows.key(shown[-1])) if len(found) > limit else None
        return models.Texts(texts=[rows.text(row) for row in shown], next=more)

    async def _count(self, asked: TextFilter) -> models.TextCount:
        ((count, latest_ms),) = await self.reader.rows(statements.count_texts(asked))
        return models.TextCount(count=count, latest=rows.moment(latest_ms) if count else None)

    async def _digests(self, asked: AskedDigests) -> Digests:
        return Digests(digests=[digest(row) for row in await self.reader.rows(digests.latest(asked))])

    async def _sources(self, asked: AskedSources) -> models.Texts:
        return models.Texts(texts=[rows.text(row) for row in await self.reader.rows(digests.sources(asked))], next=None)

    async def _choices(self) -> models.Choices:
        ((products, sources, languages),) = await self.reader.rows(statements.choices())
        return models.Choices(
            products=sorted(products, key=str.casefold),
            sources=sorted(sources),
            languages=sorted(languages),
            aspects=[aspect.name for aspect in self._taxonomy.aspects],
            intents=[intent.name for intent in self._taxonomy.intents],
        )

    async def _health(self) -> models.HealthFigures:
        window = await self.window(AskedWindow(days=HEALTH_DAYS))
        workers = asyncio.create_task(read_workers(self._metrics))
        moments, minutes, reasons, packs, certainty = await self.reader.all(
            quality_statements.latest(),
            quality_statements.throughput(THROUGHPUT_MINUTES),
            quality_statements.dead_letter_reasons(),
            quality_statements.packs(window),
            quality_statements.certainty(window),
        )
        now_ms, latest_ms, texts = moments[0]
        return models.HealthFigures(
            now=rows.moment(now_ms - now_ms % 60_000),
            latest=rows.moment(latest_ms) if texts else None,
            texts=texts,
            window=rows.days(window),
            minutes=rows.every_minute(now_ms, THROUGHPUT_MINUTES, minutes),
            workers=await workers,
            dead_letters=[models.Reason(reason=r, letters=n, latest=rows.moment(ms)) for r, n, ms in reasons],
            packs=[models.PackInUse(pack=p, version=v, texts=n, latest=rows.moment(ms)) for p, v, n, ms in packs],
            certainty=[
                models.Certainty(day=d, texts=n, mean_confidence=round(c, 4), unsure=u, no_emotion=e)
                for d, n, c, u, e in certainty
            ],
        )

    async def _drift(self) -> Drift:
        window = await self.window(AskedWindow(days=HEALTH_DAYS + WEEK_DAYS + REFERENCE_DAYS))
        judgements = await self.reader.rows(quality_statements.judgements(window))
        topics = await self.reader.rows(quality_statements.topics(window))
        return drift(judgements, topics, window.last, HEALTH_DAYS)

    async def _to_review(self, asked: AskedReview) -> ToReview:
        window = await self.window(asked, asked.product)
        found = await self.reader.rows(quality_statements.to_review(window, asked.product, asked.limit))
        return ToReview(texts=[rows.text(row) for row in found])

    async def _letters(self) -> models.Letters:
        found = await self.reader.rows(quality_statements.dead_letters(LETTERS))
        names = list(models.Letter.model_fields)
        return models.Letters(
            letters=[models.Letter(**dict(zip(names, [*row[:-1], rows.moment(row[-1])], strict=True))) for row in found]
        )

    async def _latest_day(self, product: str | None) -> Answer[models.LatestDay]:
        async def ask() -> models.LatestDay:
            ((last, days),) = await self.reader.rows(statements.latest_day(product))
            return models.LatestDay(last=last if days else None)

        return await self._cache.get(("latest day", product), ask)
