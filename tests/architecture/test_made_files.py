"""What is made from the code is what the code says: reference pages, the SDK's calls, the pins."""

from __future__ import annotations

import re
import subprocess
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest
from tools import pins, reference, sdk

from octavo_server.settings import Settings

ROOT = Path(__file__).parents[2]


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    return [path for name in listed.decode().split("\0") if name and (path := ROOT / name).is_file()]


def test_every_setting_is_documented() -> None:
    page = (ROOT / "docs" / "reference" / "settings.md").read_text()
    assert page == reference.settings_page(), "run `make docs`"
    for one in fields(Settings):
        assert f"`OCTAVO_{one.name.upper()}`" in page
        assert one.metadata["help"], one.name


def test_every_verb_is_documented() -> None:
    assert (ROOT / "docs" / "reference" / "cli.md").read_text() == reference.cli_page(), "run `make docs`"


def test_the_sdk_has_every_call() -> None:
    for path, text in sdk.modules().items():
        assert path.read_text() == text, f"{path.name} is stale: run `make openapi`"


def test_the_console_has_every_call() -> None:
    """`npm run generated` compares them word by word; here the operations are enough."""
    types = (ROOT / "web" / "src" / "api" / "schema.d.ts").read_text()
    for path in sdk.paths():
        assert f'"{path}"' in types, "run `make openapi`"


def test_everything_asked_for_is_pinned() -> None:
    for name, wanted in pins.asked().items():
        pinned = {line.split("==")[0] for line in _lines(f"{name}.txt")}
        for text in wanted:
            package = re.split(r"[\[<>=~!; ]", text)[0].lower().replace("_", "-")
            assert package in pinned, f"{package} is not pinned in requirements/{name}.txt: run `make pins`"


def _lines(name: str) -> list[str]:
    """A requirements file with those that it includes."""
    found = []
    for line in (ROOT / "requirements" / name).read_text().splitlines():
        if line.startswith("-r "):
            found += _lines(line[3:])
        elif line and not line.startswith("#"):
            found.append(line)
    return found


def test_pins_are_exact_and_name_no_index() -> None:
    for path in (ROOT / "requirements").glob("*.txt"):
        for line in path.read_text().splitlines():
            assert re.fullmatch(r"#.*|-r [a-z-]+\.txt|[a-z0-9-]+==[\w.]+", line), f"{path.name}: {line}"


@pytest.mark.parametrize(
    "pattern",
    [
        r"registry\.npmjs|pypi\.org/simple|pythonhosted|registry\.yarnpkg|files\.python",
        r"--(extra-)?index-url|--find-links",
        r"/work/(main|shared)|/tmp/(probe|octavo)|/root/",
    ],
)
def test_no_file_names_a_registry_or_this_machine(pattern: str) -> None:
    wanted = re.compile(pattern)
    here = Path(__file__)
    found = {
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path in tracked()
        if path != here and path.suffix not in (".png", ".woff2", ".gif")
        if (match := wanted.search(path.read_text(errors="replace")))
    }
    assert not found


def test_version_and_changelog_agree() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    changelog = (ROOT / "CHANGELOG.md").read_text()
    assert re.search(rf"^## \[({re.escape(version)}|Unreleased)\]", changelog, re.MULTILINE)


def test_every_link_between_pages_leads_somewhere() -> None:
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#\s]+)", page.read_text()):
            if not re.match(r"[a-z]+:", target):
                assert (page.parent / target).exists(), f"{page.relative_to(ROOT)} links to {target}"


def test_every_decision_is_numbered_once() -> None:
    numbers = [path.name[:3] for path in sorted((ROOT / "docs" / "adr").glob("*.md"))]
    assert numbers == [f"{number:03}" for number in range(1, len(numbers) + 1)]
