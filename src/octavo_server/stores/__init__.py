"""Where things are kept: control (SQL), objects, telemetry (ClickHouse SQL), counters, spool."""

from octavo_server.core.errors import OctavoError


class SchemaTooNew(OctavoError):
    """A store was written by a newer Octavo than this one."""

    status = 503
    code = "schema_too_new"

    def __init__(self, store: str, *, present: str, known: str) -> None:
        super().__init__(
            f"the {store} store has schema {present}, this Octavo knows up to {known}: "
            "start the newer Octavo that wrote it, or restore a backup made before its upgrade"
        )
