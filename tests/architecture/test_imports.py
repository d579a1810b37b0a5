"""The import graph keeps its contracts, and so does each module: what it may read, catch, hold and be called."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SRC = ROOT / "src"
SERVER = SRC / "octavo_server"

BROAD_CATCH = {
    "octavo/quietly.py": "the telemetry sink: recording never raises into the application",
    "octavo_server/gateway/pipeline.py": "the HTTP edge of /v1, which nothing stands in front of",
    "octavo_server/http/front.py": "the HTTP edge",
    "octavo_server/http/serve.py": "the HTTP edge",
    "octavo_server/worker.py": "the worker loop",
}
"""The only places that may catch what they do not know: each logs it and goes on."""

READERS_OF_THE_ENVIRONMENT = {"octavo_server/settings.py", "octavo/config.py"}

SQL = re.compile(
    r"\b(select\b.+\bfrom|insert\s+into|update\s+\w+\s+set|delete\s+from|create\s+table|alter\s+table|drop\s+table)\b",
    re.IGNORECASE | re.DOTALL,
)
NAMES_OF_NOTHING = {"utils", "util", "helpers", "helper", "common", "misc", "shared", "lib"}


def modules() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(SRC.rglob("*.py")):
        yield str(path.relative_to(SRC)), ast.parse(path.read_text())


def linted(folder: Path, source: Path) -> subprocess.CompletedProcess[bytes]:
    """The linter in a process of its own: it would switch off the loggers of this one."""
    linter = Path(sys.executable).with_name("lint-imports")
    return subprocess.run([linter, "--no-cache"], cwd=folder, capture_output=True, env={"PYTHONPATH": str(source)})


def test_the_import_contracts_are_kept() -> None:
    ended = linted(ROOT, SRC)
    assert ended.returncode == 0, ended.stdout


def test_a_broken_contract_would_be_noticed(tmp_path: Path) -> None:
    """The contracts see a lazy import, too."""
    (tmp_path / "octavo").mkdir()
    (tmp_path / "octavo" / "__init__.py").write_text("def f():\n    import octavo_server\n")
    (tmp_path / "octavo_server").mkdir()
    (tmp_path / "octavo_server" / "__init__.py").write_text("")
    contract = re.search(
        r"\[importlinter:contract:sdk\].+?(?=\n\[|\Z)", (ROOT / ".importlinter").read_text(), re.DOTALL
    )
    assert contract is not None
    (tmp_path / ".importlinter").write_text(
        f"[importlinter]\nroot_packages =\n    octavo\n    octavo_server\n\n{contract[0]}"
    )
    ended = linted(tmp_path, tmp_path)
    assert ended.returncode == 1, ended.stdout


def test_only_the_edges_catch_everything() -> None:
    found = {
        f"{name}:{handler.lineno}"
        for name, tree in modules()
        for handler in ast.walk(tree)
        if isinstance(handler, ast.ExceptHandler) and _is_broad(handler) and not _reraises(handler)
        if name not in BROAD_CATCH
    }
    assert not found, f"catch what you can act on; broad handlers belong to {', '.join(BROAD_CATCH)}"


def _is_broad(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    caught = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(isinstance(one, ast.Name) and one.id in ("Exception", "BaseException") for one in caught)


def _reraises(handler: ast.ExceptHandler) -> bool:
    return isinstance(handler.body[-1], ast.Raise) and handler.body[-1].exc is None


def test_the_environment_is_read_in_one_place() -> None:
    found = {
        f"{name}:{node.lineno}"
        for name, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "os"
        and node.attr in ("environ", "environb", "getenv", "putenv", "unsetenv")
        if name not in READERS_OF_THE_ENVIRONMENT
    }
    assert not found, "read settings.py's Settings; the environment is its business alone"


def test_sql_is_in_stores_only() -> None:
    found = {
        f"{name}:{node.lineno}"
        for name, tree in modules()
        if not (name.startswith("octavo_server/stores/") or re.search(r"/store(/\w+)?\.py$", name))
        for node in _texts(tree)
        if SQL.search(node.value)  # type: ignore[arg-type]
    }
    assert not found, "SQL belongs to a room's store.py"


def _texts(tree: ast.Module) -> Iterator[ast.Constant]:
    """The texts of a module that are no docstrings."""
    for node in ast.walk(tree):
        for child in ast.iter_child_nodes(node):
            is_docstring = isinstance(node, ast.Expr)
            if isinstance(child, ast.Constant) and isinstance(child.value, str) and not is_docstring:
                yield child


def test_no_global_statement() -> None:
    found = {
        f"{name}:{node.lineno}" for name, tree in modules() for node in ast.walk(tree) if isinstance(node, ast.Global)
    }
    assert not found, "pass state as an argument"


def test_every_module_says_what_it_owns() -> None:
    silent = {name for name, tree in modules() if ast.get_docstring(tree) is None}
    assert not silent


def test_names_mean_something() -> None:
    found = {
        str(path.relative_to(ROOT))
        for folder in (SRC, ROOT / "tests", ROOT / "tools")
        for path in folder.rglob("*.py")
        if NAMES_OF_NOTHING & {path.stem, *path.relative_to(ROOT).parent.parts}
    }
    assert not found


@pytest.mark.parametrize("module", ["octavo", "octavo.cli.app"])
def test_the_client_starts_at_once(module: str) -> None:
    """Neither the HTTP client nor OpenTelemetry is loaded before it is needed."""
    heavy = ("httpx2", "opentelemetry", "octavo_server", "rich.markdown")
    code = f"import sys, {module}; print([name for name in {heavy!r} if name in sys.modules])"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"
