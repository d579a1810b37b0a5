"""Rows of other tools as cases, and cases as files.

Read are JSON lines, CSV, and JSON: a list of objects, the answer of Hugging Face's dataset viewer (`{"rows": [{"row":
…}]}`), or columns (`Dataset.to_dict()`). Which column is what says the mapping, else its name: those of Langfuse,
DeepEval, Ragas, promptfoo and of common data sets are known. What is left goes to the metadata."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Literal

import orjson

from octavo_server.core.digest import JSON
from octavo_server.core.errors import Invalid
from octavo_server.evals.datasets import MOST_CASES, Case, Draft, Source, case_of

Format = Literal["jsonl", "csv", "json"]

_MOST_TOLD = 20
_KNOWN = {
    "inputs": ("inputs", "input", "user_input", "vars", "question", "query", "prompt", "instruction"),
    "expected": (
        "expected",
        "expected_output",
        "expectedOutput",
        "expectations",
        "reference",
        "ground_truth",
        "answer",
        "best_answer",
        "label",
        "target",
    ),
    "context": ("context", "contexts", "retrieved_contexts", "retrieval_context"),
    "metadata": ("metadata", "additional_metadata"),
    "tags": ("tags",),
    "split": ("split",),
    "id": ("id",),
    "source_trace_id": ("source_trace_id", "sourceTraceId"),
    "source_span_id": ("source_span_id", "sourceObservationId"),
}
_TEXTS = ("id", "source_trace_id", "source_span_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Which column is what. Several columns become an object of them. None: by its name."""

    inputs: tuple[str, ...] | None = None
    expected: tuple[str, ...] | None = None
    context: str | None = None
    metadata: tuple[str, ...] | None = None
    tags: str | None = None
    split: str | None = None
    id: str | None = None


_BY_NAME = Columns()


class Row(dict[str, JSON]):
    """A row of a file, and where it stands in it."""

    place: str


def read_cases(kind: Format, text: str, mapping: Columns = _BY_NAME) -> list[Draft]:
    """The cases of a file. Raises Invalid, with the places of the rows that cannot be read."""
    drafts: list[Draft] = []
    problems: list[str] = []
    taker, checked = _Taker(mapping), False
    try:
        for row in _READERS[kind](text, problems):
            if len(drafts) == MOST_CASES:
                raise Invalid(f"The file has more than {MOST_CASES:,} rows; split it.", param="content")
            if not checked:
                taker.check(row)
                checked = True
            try:
                drafts.append(taker.take(row))
            except Invalid as error:
                problems.append(f"{row.place}: {error.message}")
    except csv.Error as error:
        raise Invalid(f"The CSV cannot be read: {error}.", param="content") from error
    if problems:
        more = f" … and {len(problems) - _MOST_TOLD} more" if len(problems) > _MOST_TOLD else ""
        told = "; ".join(problems[:_MOST_TOLD])
        raise Invalid(
            f"{len(problems)} {'row' if len(problems) == 1 else 'rows'} cannot be read, so nothing was written. "
            f"{told}{more}",
            code="invalid_cases",
            param="content",
        )
    if not drafts:
        raise Invalid("The file has no rows.", param="content")
    return drafts


def write_jsonl(rows: Iterable[tuple[str, Source, Case]]) -> Iterator[bytes]:
    """Cases as JSON lines, which `read_cases` reads back to the same digests."""
    for item_id, source, case in rows:
        value: dict[str, JSON] = {"id": item_id, **case.value()}
        if source.trace_id:
            value |= {"source_trace_id": source.trace_id, "source_span_id": source.span_id}
        yield orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE)


def write_csv(rows: Iterable[tuple[str, Source, Case]]) -> Iterator[bytes]:
    """Cases as CSV. Texts stand as they are; objects, lists, and texts that would be read as such, as JSON. Numbers and
    truth values are read back as texts."""
    columns = ["id", "inputs", "expected", "context", "metadata", "tags", "split", "source_trace_id", "source_span_id"]
    yield _csv_line(columns)
    for item_id, source, case in rows:
        value = case.value()
        cells = [_cell(value[name]) for name in columns[1:7]]
        yield _csv_line([item_id, *cells, source.trace_id, source.span_id])


class _Taker:
    """Makes cases of rows. Rows of one shape are told apart once."""

    def __init__(self, mapping: Columns) -> None:
        self._asked = {
            name: (asked,) if isinstance(asked, str) else tuple(asked)
            for name in _KNOWN
            if name != "metadata" and (asked := getattr(mapping, name, None)) is not None
        }
        self._metadata = mapping.metadata
        self._chosen: dict[tuple[str, ...], dict[str, tuple[str, ...]]] = {}

    def check(self, first: Row) -> None:
        """Raises Invalid when the mapping names a column that there is not."""
        for column in (*chain(*self._asked.values()), *(self._metadata or ())):
            if column not in first:
                raise Invalid(f"There is no column {column[:60]!r}. {_there(first)}", param="mapping")

    def take(self, row: Row) -> Draft:
        """Raises Invalid."""
        chosen = self._choose(row)
        value: dict[str, Any] = {name: _of(row, columns) for name, columns in chosen.items()}
        texts = {name: _text(value.pop(name, None), name) for name in _TEXTS}
        if self._metadata is None:
            taken = set(chain(*chosen.values()))
            rest = {name: one for name, one in row.items() if name not in taken and one is not None}
            told = value.get("metadata")
            given = told if isinstance(told, dict) else {} if told is None else {"value": told}
            value["metadata"] = {**rest, **given}
        else:
            value["metadata"] = {name: row.get(name) for name in self._metadata}
        if isinstance(value.get("split"), str):
            value["split"] = value["split"].strip()
        source = Source(trace_id=texts["source_trace_id"], span_id=texts["source_span_id"])
        return Draft(case=case_of(value), id=texts["id"] or None, source=source, place=row.place)

    def _choose(self, row: Row) -> dict[str, tuple[str, ...]]:
        shape = tuple(row)
        if shape not in self._chosen:
            chosen = dict(self._asked)
            taken = set(chain(*chosen.values()))
            for name, known in _KNOWN.items():
                there = [one for one in known if one in row and one not in taken]
                if name not in chosen and there:
                    chosen[name] = (there[0],)
                    taken.add(there[0])
            self._chosen[shape] = chosen
        chosen = self._chosen[shape]
        if not any(column in row for column in chosen.get("inputs", ())):
            raise Invalid(
                f"no column is known to be the inputs; say which with `mapping.inputs`. {_there(row)}", param="mapping"
            )
        return chosen


def _of(row: Row, columns: Sequence[str]) -> JSON:
    return row.get(columns[0]) if len(columns) == 1 else {name: row.get(name) for name in columns}


def _text(value: JSON, name: str) -> str:
    if value is None:
        return ""
    if isinstance(value, str | int) and not isinstance(value, bool) and len(str(value)) <= 200:
        return str(value)
    raise Invalid(f"its `{name}` is no text of up to 200 characters")


def _there(row: Row) -> str:
    return f"There are {', '.join(repr(name[:60]) for name in list(row)[:30]) or 'none'}."


def _json_lines(text: str, problems: list[str]) -> Iterator[Row]:
    # Only line feeds end a line: texts may hold the other separators that splitlines() knows.
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            value = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            problems.append(f"line {number}: no JSON ({str(error).partition(':')[0]})")
            continue
        if isinstance(value, dict):
            yield _row(value, f"line {number}")
        else:
            problems.append(f"line {number}: no JSON object")


def _csv_rows(text: str, problems: list[str]) -> Iterator[Row]:
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True)
    header = [name.strip() for name in next(reader, [])]
    if len(set(header)) != len(header) or "" in header:
        raise Invalid("The first line has to name each column, each name once.", param="content")
    begins = reader.line_num + 1
    for cells in reader:
        place, begins = f"line {begins}", reader.line_num + 1
        if not cells:
            continue
        if len(cells) != len(header):
            problems.append(f"{place}: {len(cells)} cells; the first line names {len(header)} columns")
            continue
        yield _row({name: _value(cell) for name, cell in zip(header, cells, strict=True)}, place)


def _json_rows(text: str, problems: list[str]) -> Iterator[Row]:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise Invalid(f"The file is no JSON: {error}.", param="content") from error
    if isinstance(value, dict) and isinstance(value.get("rows"), list):
        value = [one.get("row", one) if isinstance(one, dict) else one for one in value["rows"]]
    elif isinstance(value, dict) and value and all(isinstance(one, list) for one in value.values()):
        lengths = {len(one) for one in value.values()}
        if len(lengths) > 1:
            raise Invalid(f"The columns have different lengths: {sorted(lengths)}.", param="content")
        value = [dict(zip(value, cells, strict=True)) for cells in zip(*value.values(), strict=True)]
    if not isinstance(value, list):
        raise Invalid(
            'Expected a JSON list of objects, an object of columns, or `{"rows": [{"row": …}]}`.', param="content"
        )
    for number, one in enumerate(value, 1):
        if isinstance(one, dict):
            yield _row(one, f"row {number}")
        else:
            problems.append(f"row {number}: no JSON object")


_READERS: dict[str, Callable[[str, list[str]], Iterator[Row]]] = {
    "jsonl": _json_lines,
    "csv": _csv_rows,
    "json": _json_rows,
}


def _row(value: Mapping[str, JSON], place: str) -> Row:
    row = Row(value)
    row.place = place
    return row


def _value(cell: str) -> JSON:
    """A cell of a CSV file: nothing, JSON when it is an object, a list or a quoted text, else the text as it is."""
    if cell == "":
        return None
    if cell[0] in '{["':
        try:
            value: JSON = orjson.loads(cell)
        except orjson.JSONDecodeError:
            return cell
        return value
    return cell


def _cell(value: JSON) -> str:
    if value is None:
        return ""
    if isinstance(value, str) and value and value[0] not in '{["':
        return value
    return orjson.dumps(value).decode()


def _csv_line(cells: Sequence[str]) -> bytes:
    line = io.StringIO(newline="")
    csv.writer(line).writerow(cells)
    return line.getvalue().encode()
