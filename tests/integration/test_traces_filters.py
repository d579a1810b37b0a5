"""Every field of the filter language takes every operator that it says it takes, in the store's own SQL."""

from __future__ import annotations

import pytest
from tests.contract.traces.test_traces_ingest import PROJECT, Room, llm
from tests.integration.test_traces_shapes import open_room

from octavo_server.stores.telemetry import migrate
from octavo_server.stores.telemetry_embedded import EmbeddedTelemetry
from octavo_server.traces.filter import FIELDS, JSON_FIELDS
from octavo_server.traces.service import Search
from octavo_server.traces.store import MIGRATIONS

ON_TEXTS = ["{} = x", "{} != x", "{} > x", "{} >= x", "{} < x", "{} <= x", "{} in (x, 'y z', 5)"]
ON_NUMBERS = ["{} = 5", "{} != 5", "{} > 5", "{} >= 5.5", "{} < -1", "{} <= true", "{} in (1, 2.5)"]
ON_ALL = [
    "{} ~ x",
    "{} !~ 'a%b_'",
    "{} starts_with x",
    "{} ends_with ''",
    "{} matches '(?i)^a.*[0-9]{{2}}$'",
    "not {} ~ ''",
]


@pytest.fixture
async def room(empty_chdb: EmbeddedTelemetry) -> Room:
    await migrate(empty_chdb, MIGRATIONS)
    room = open_room(empty_chdb)
    await room.send(llm(1), llm(2, of=2, attributes={"n": 5, "s": "x5", "deep": {"a": [1]}, "no": None}))
    return room


async def matching(room: Room, text: str) -> list[int]:
    page = await room.traces.list_spans(PROJECT, Search(filter=text), limit=10, cursor="")
    return sorted(int(row["span_id"], 16) for row in page.rows)


async def test_every_operator_of_every_field(room: Room) -> None:
    for field in (*sorted(FIELDS), *(f"{name}.a.b-c" for name in JSON_FIELDS)):
        if field == "tags":
            conditions = ["{} = x", "{} != x", "{} in (x, y)", *ON_ALL]
        elif "." in field:
            conditions = ["{} = x", "{} in (x, 'y')", *(one for one in ON_NUMBERS if " in " not in one), *ON_ALL]
        else:
            conditions = [*(ON_NUMBERS if FIELDS[field][1] == "Float64" else ON_TEXTS), *ON_ALL]
        await matching(room, " or ".join(condition.format(field) for condition in conditions))
        # A condition or its contrary: no span is in neither.
        for test in ("starts_with x", "matches '[0-9]'", "~ x"):
            assert await matching(room, f"{field} {test} or not {field} {test}") == [1, 2], (field, test)


async def test_values_in_json_are_found_whatever_their_type(room: Room) -> None:
    assert await matching(room, "attributes.n = 5") == [2]
    assert await matching(room, "attributes.n > 4.5 and attributes.n <= 5") == [2]
    assert await matching(room, "attributes.n matches '^5$'") == [2]
    assert await matching(room, "attributes.s starts_with x") == [2]
    assert await matching(room, "attributes.s ends_with 5 and not attributes.s ends_with x") == [2]
    assert await matching(room, 'attributes.deep matches "a.*1"') == [2]
    assert await matching(room, "attributes.gen_ai.input.messages ~ why") == [
        1
    ]  # it is the span's input, word for word
    assert await matching(room, "attributes.missing matches '.'") == []
