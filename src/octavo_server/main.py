"""The server's entry: `serve`, `demo`, `worker`, `db migrate|backup|restore`, `models pull`, `openapi`."""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from octavo_server.core.clock import SystemClock
from octavo_server.core.errors import OctavoError
from octavo_server.settings import Settings, SettingsError, read_settings
from octavo_server.stores import SchemaTooNew

EXIT_FAILED = 1
EXIT_UNUSABLE = 2
"""A wrong setting or flag, or a store that a newer Octavo wrote."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one verb and returns the exit code. What is wrong is told in one line."""
    started = time.monotonic()
    arguments = build_parser().parse_args(argv)
    arguments.started = started
    try:
        settings = read_settings(
            data_dir=getattr(arguments, "data_dir", None),
            host=getattr(arguments, "host", None),
            port=getattr(arguments, "port", None),
        )
        _configure_logging(settings)
        return int(arguments.run(settings, arguments))
    except SettingsError as error:
        return _fail(str(error), EXIT_UNUSABLE)
    except OctavoError as error:
        return _fail(error.message, EXIT_UNUSABLE if error.code == SchemaTooNew.code else EXIT_FAILED)


def build_parser() -> argparse.ArgumentParser:
    """The verbs and their flags."""
    parser = argparse.ArgumentParser(prog="octavo", description="The Octavo server.")
    verbs = parser.add_subparsers(required=True, metavar="VERB")

    serve = verbs.add_parser("serve", help="run the server and its worker")
    serve.add_argument("--host", help="address to listen on (OCTAVO_HOST)")
    serve.add_argument("--port", type=_port, help="port to listen on (OCTAVO_PORT)")
    serve.add_argument("--data-dir", type=Path, help="folder of the embedded stores (OCTAVO_DATA_DIR)")
    serve.set_defaults(run=_serve)

    demo = verbs.add_parser("demo", help="run the server with a demo project on the local model")
    demo.add_argument("--host", help="address to listen on (OCTAVO_HOST)")
    demo.add_argument("--port", type=_port, help="port to listen on (OCTAVO_PORT)")
    demo.add_argument("--data-dir", type=Path, help="folder of the embedded stores (OCTAVO_DATA_DIR)")
    demo.set_defaults(run=_demo)

    models = verbs.add_parser("models", help="care for the local model").add_subparsers(required=True, metavar="VERB")
    pull = models.add_parser("pull", help="fetch the local model's weights")
    pull.add_argument("--data-dir", type=Path, help="folder of the embedded stores (OCTAVO_DATA_DIR)")
    pull.set_defaults(run=_pull_model)

    local_model = verbs.add_parser("local-model")
    local_model.add_argument("--port", type=_port, dest="model_port", required=True)
    local_model.set_defaults(run=_local_model)

    worker = verbs.add_parser("worker", help="run a worker apart from the server")
    worker.add_argument("--data-dir", type=Path, help="folder of the embedded stores (OCTAVO_DATA_DIR)")
    worker.add_argument("--embedded", action="store_true", help=argparse.SUPPRESS)
    worker.set_defaults(run=_worker)

    db = verbs.add_parser("db", help="care for the stores").add_subparsers(required=True, metavar="VERB")
    for name, run, help_text in (
        ("migrate", _migrate, "bring the stores to this version's schema"),
        ("backup", _backup, "write a consistent copy of the stores into a new folder"),
        ("restore", _restore, "bring a backup back into an empty data folder"),
    ):
        verb = db.add_parser(name, help=help_text)
        verb.add_argument("--data-dir", type=Path, help="folder of the embedded stores (OCTAVO_DATA_DIR)")
        if name != "migrate":
            verb.add_argument("folder", type=Path)
        if name == "backup":
            verb.add_argument(
                "--with-secret-key", action="store_true", help="copy the master key too; guard the backup like it"
            )
        verb.set_defaults(run=run)

    openapi = verbs.add_parser("openapi", help="print the API's description")
    openapi.set_defaults(run=_openapi)
    return parser


# Each verb imports what it needs: `openapi` needs no chDB, the worker no HTTP server, and the server must be up soon.


def _serve(settings: Settings, arguments: Any) -> int:
    from octavo_server.http.serve import serve

    return serve(settings, started=arguments.started)


def _demo(settings: Settings, arguments: Any) -> int:
    from octavo_server.demo import demo

    return demo(settings, started=arguments.started)


def _pull_model(settings: Settings, arguments: Any) -> int:
    from octavo_server.local_model import pull

    print(f"The local model's weights are at {pull(settings)}.")  # noqa: T201
    return 0


def _local_model(settings: Settings, arguments: Any) -> int:
    from octavo_server.local_model import run

    return run(settings, port=arguments.model_port)


def _worker(settings: Settings, arguments: Any) -> NoReturn:
    from octavo_server.worker import run

    run(settings, embedded=arguments.embedded)


def _migrate(settings: Settings, arguments: Any) -> int:
    from octavo_server.stores.folder import control_url, hold_folder
    from octavo_server.stores.migrations import upgrade

    with hold_folder(settings.data_dir):
        revision = upgrade(control_url(settings))
    print(f"The control store is at schema {revision}; the telemetry store follows at the next start.")  # noqa: T201
    return 0


def _backup(settings: Settings, arguments: Any) -> int:
    from octavo_server.stores.backup import backup

    backup(settings.data_dir, arguments.folder, at=SystemClock().now(), with_secret_key=arguments.with_secret_key)
    print(f"Backed up {settings.data_dir} to {arguments.folder}.")  # noqa: T201
    return 0


def _restore(settings: Settings, arguments: Any) -> int:
    from octavo_server.stores.backup import restore

    restore(arguments.folder, settings.data_dir)
    print(f"Restored {arguments.folder} into {settings.data_dir}.")  # noqa: T201
    return 0


def _openapi(settings: Settings, arguments: Any) -> int:
    from octavo_server.http.wiring import openapi_text

    sys.stdout.write(openapi_text())
    return 0


def _configure_logging(settings: Settings) -> None:
    # The level is that of Octavo's own log; of its libraries only what is wrong is told.
    logging.basicConfig(
        stream=sys.stderr,
        level="WARNING",
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        datefmt="%H:%M:%S",
    )
    logging.getLogger("octavo").setLevel(settings.log_level.upper())


def _port(text: str) -> int:
    port = int(text)
    if not 1 <= port <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r}: expected 1 to 65535")
    return port


def _fail(message: str, code: int) -> int:
    print(f"octavo: {message}", file=sys.stderr)  # noqa: T201
    return code


if __name__ == "__main__":
    sys.exit(main())
