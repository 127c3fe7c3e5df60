"""`voxpop migrate --cluster` and `--print`."""

from pydantic import ValidationError

from workers.errors import UsageError
from workers.settings import ClickHouseSettings, Settings
from workers.store.migrate import preparations, shipped_migrations


def on_this_cluster(settings: Settings, cluster: str | None) -> Settings:
    """The settings with this cluster in them, where one is named. Raises `UsageError` for what can be no cluster's name."""
    if cluster is None:
        return settings
    try:
        store = ClickHouseSettings.model_validate(settings.clickhouse.model_dump() | {"cluster": cluster})
    except ValidationError:
        raise UsageError(f"{cluster!r} can be no cluster's name: letters, digits, - and _ alone") from None
    return settings.model_copy(update={"clickhouse": store})


def printed(settings: Settings) -> str:
    """All statements, in the order in which an empty server or cluster is given them."""
    statements = [*preparations(settings)]
    for migration in shipped_migrations():
        statements += migration.statements(settings)
    return "\n\n".join(f"{statement};" for statement in statements)
