"""Pins what is installed in this environment: requirements/server.txt for `octavo[server,local]`, requirements/dev.txt
for all that the checks and tests need on top. Versions only: no hashes, no index.

Usage: python tools/pin.py   (after installing or upgrading what pyproject.toml names)
"""

from __future__ import annotations

import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent


def closure(wanted: list[str]) -> dict[str, str]:
    """Versions of the packages and of all that they need, by name."""
    pins: dict[str, str] = {}
    seen: set[tuple[str, frozenset[str]]] = set()
    queue = [Requirement(text) for text in wanted]
    while queue:
        requirement = queue.pop()
        name = canonicalize_name(requirement.name)
        key = (name, frozenset(requirement.extras))
        if key in seen:
            continue
        seen.add(key)
        try:
            found = distribution(name)
        except PackageNotFoundError:
            raise SystemExit(f"{name} is not installed here; install it, then pin again") from None
        pins[name] = found.version
        for text in found.requires or ():
            needed = Requirement(text)
            extras = requirement.extras or {""}
            if needed.marker is None or any(
                needed.marker.evaluate({**default_environment(), "extra": extra}) for extra in extras
            ):
                queue.append(needed)
    return pins


def write(name: str, pins: dict[str, str], comment: str) -> None:
    lines = [f"# {comment} Made by tools/pin.py.", *(f"{package}=={pins[package]}" for package in sorted(pins))]
    (ROOT / "requirements" / name).write_text("\n".join(lines) + "\n")


def main() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    server = closure([*project["dependencies"], *extras["server"], *extras["local"]])
    dev = closure(extras["dev"])
    write("server.txt", server, "What `octavo[server,local]` runs on.")
    write("dev.txt", {name: version for name, version in dev.items() if name not in server}, "For checks and tests.")


if __name__ == "__main__":
    main()
