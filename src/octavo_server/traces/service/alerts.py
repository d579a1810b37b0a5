"""Threshold alerts: rules and channels (in the server), and their watch (in the worker, every minute).

What is to be told is written with the change of the alert in one transaction, and taken off only when it was told: a crash
between the two tells it again, under the same id.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import logging
import re
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import msgspec
import orjson

from octavo_server.core.clock import Clock
from octavo_server.core.digest import JSON
from octavo_server.core.errors import Invalid, OctavoError
from octavo_server.core.events import SYSTEM, Event
from octavo_server.core.ids import new_id
from octavo_server.edge.access import Principal
from octavo_server.edge.changes import event_of
from octavo_server.stores.control import ControlStore, Transaction
from octavo_server.stores.secrets import SecretBox
from octavo_server.traces.model import Alert, AlertRule, Channel, Delivery, Told
from octavo_server.traces.service.reading import Search, Traces, known_names
from octavo_server.traces.store import MEASURES
from octavo_server.traces.store import alerts as store

log = logging.getLogger("octavo.alerts")

CALM = 2
"""How often in a row a rule has to hold before its alert is over: a value at the threshold does not flap."""
_BACKOFF = tuple(timedelta(minutes=minutes) for minutes in (1, 2, 5, 15, 60, 180, 720))
_MOST_DUE = 200
_MOST = 200
_ADDRESS = re.compile(r"[^@\s]{1,64}@[^@\s]{1,255}")
_URL = re.compile(r"https?://[^\s]{1,2000}")


class Message(NamedTuple):
    """What a channel is told, in the words of both kinds."""

    id: str
    subject: str
    text: str
    body: bytes  # JSON


Post = Callable[[str, Mapping[str, str], bytes], Awaitable[Told]]
"""Sends a webhook."""
Mail = Callable[[Sequence[str], str, str], Awaitable[Told]]
"""Sends an e-mail: addresses, subject, text."""


class Teller:
    """Tells channels."""

    def __init__(self, box: SecretBox, post: Post, mail: Mail, clock: Clock) -> None:
        self._box = box
        self._post = post
        self._mail = mail
        self._clock = clock

    async def tell(self, channel: Channel, message: Message) -> Told:
        """Sends a message; never raises."""
        try:
            if channel.kind == "email":
                return await self._mail(channel.addresses, message.subject, message.text)
            secret = self._box.open(channel.sealed or b"", _context(channel.id))
            return await self._post(channel.url, signed(message, secret, self._clock.now()), message.body)
        except OctavoError as error:
            return Told(False, 0, error.message)


class Alerts:
    """Rules, channels and what they came to. Every verb is about one project; all but `preview` and `test` block."""

    def __init__(
        self,
        control: ControlStore,
        traces: Traces,
        clock: Clock,
        *,
        box: SecretBox,
        check_url: Callable[[str], object],
        teller: Teller,
    ) -> None:
        """`check_url` refuses addresses that this server may not call."""
        self._control = control
        self._traces = traces
        self._clock = clock
        self._box = box
        self._check_url = check_url
        self._teller = teller

    def channels(self, project_id: str) -> list[Channel]:
        """By name."""
        with self._control.read() as sql:
            return store.list_channels(sql, project_id)

    def create_channel(
        self, by: Principal, *, name: str, kind: str, url: str = "", addresses: Sequence[str] = ()
    ) -> tuple[Channel, str]:
        """A channel, and the secret of a webhook, which is not shown again. Raises Invalid."""
        now = self._clock.now()
        channel = Channel(id=new_id("chn"), project_id=by.project, name=name, kind=kind, created_at=now, updated_at=now)
        secret = ""
        if kind == "webhook":
            secret = "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()
            channel = msgspec.structs.replace(channel, sealed=self._box.seal(secret.encode(), _context(channel.id)))
        channel = self._checked(msgspec.structs.replace(channel, url=url, addresses=tuple(addresses)))
        with self._control.transaction() as tx:
            if len(store.list_channels(tx.connection, by.project)) >= _MOST:
                raise Invalid(f"This project has {_MOST} channels, the most there may be.")
            store.add(tx.connection, channel)
            tx.record(event_of(by, "channel.created", channel.id, now, before=None, after=channel_view(channel)))
        return channel, secret

    def change_channel(self, by: Principal, channel_id: str, changes: Mapping[str, Any]) -> Channel:
        """Changes name or where it leads. Raises NotFound, Invalid."""
        now = self._clock.now()
        with self._control.transaction() as tx:
            before = store.get(tx.connection, Channel, by.project, channel_id)
            after = self._checked(msgspec.structs.replace(before, **{**changes, "updated_at": now}))
            store.put(tx.connection, after)
            tx.record(
                event_of(by, "channel.changed", channel_id, now, before=channel_view(before), after=channel_view(after))
            )
        return after

    def delete_channel(self, by: Principal, channel_id: str) -> None:
        """Forgets a channel; what is still to be told to it is given up. Raises NotFound."""
        with self._control.transaction() as tx:
            channel = store.get(tx.connection, Channel, by.project, channel_id)
            store.drop(tx.connection, channel)
            tx.record(
                event_of(by, "channel.deleted", channel_id, self._clock.now(), before=channel_view(channel), after=None)
            )

    async def test_channel(self, channel: Channel) -> Told:
        """Tells a channel that this is a test."""
        body = {"type": "test", "channel": channel.name, "message": "A test of Octavo's alerts."}
        message = Message(new_id("msg"), "Octavo: a test", "A test of Octavo's alerts.", orjson.dumps(body))
        return await self._teller.tell(channel, message)

    def channel(self, project_id: str, channel_id: str) -> Channel:
        """Raises NotFound."""
        with self._control.read() as sql:
            return store.get(sql, Channel, project_id, channel_id)

    def rules(self, project_id: str) -> list[AlertRule]:
        """By name."""
        with self._control.read() as sql:
            return store.list_rules(sql, project_id)

    def create_rule(self, by: Principal, fields: Mapping[str, Any]) -> AlertRule:
        """Makes a rule. Raises Invalid."""
        now = self._clock.now()
        with self._control.transaction() as tx:
            if len(store.list_rules(tx.connection, by.project)) >= _MOST:
                raise Invalid(f"This project has {_MOST} alert rules, the most there may be.")
            rule = self._rule(tx, by.project, {**fields, "id": new_id("alr"), "created_at": now, "updated_at": now})
            store.add(tx.connection, rule)
            tx.record(event_of(by, "alert_rule.created", rule.id, now, before=None, after=rule_view(rule)))
        return rule

    def change_rule(self, by: Principal, rule_id: str, changes: Mapping[str, Any]) -> AlertRule:
        """Changes what is given of a rule. Raises NotFound, Invalid."""
        now = self._clock.now()
        with self._control.transaction() as tx:
            before = store.get(tx.connection, AlertRule, by.project, rule_id)
            fields = {name: getattr(before, name) for name in AlertRule.__struct_fields__ if name != "project_id"}
            after = self._rule(tx, by.project, {**fields, **changes, "updated_at": now})
            store.put(tx.connection, after)
            tx.record(
                event_of(by, "alert_rule.changed", rule_id, now, before=rule_view(before), after=rule_view(after))
            )
        return after

    def delete_rule(self, by: Principal, rule_id: str) -> None:
        """Forgets a rule; its alert is over. Raises NotFound."""
        now = self._clock.now()
        with self._control.transaction() as tx:
            rule = store.get(tx.connection, AlertRule, by.project, rule_id)
            alert = store.firing(tx.connection, rule_id)
            if alert is not None:
                store.put(tx.connection, msgspec.structs.replace(alert, state="resolved", resolved_at=now))
            store.drop(tx.connection, rule)
            tx.record(event_of(by, "alert_rule.deleted", rule_id, now, before=rule_view(rule), after=None))

    async def preview(self, by: Principal, fields: Mapping[str, Any]) -> tuple[float | None, bool, list[Any]]:
        """What a rule would say now: its value, whether it is breached, and the measure's course. Raises Invalid."""
        now = self._clock.now()
        rule = _checked_rule(
            AlertRule(
                **{
                    **fields,
                    "id": "preview",
                    "project_id": by.project,
                    "channel_ids": (),
                    "created_at": now,
                    "updated_at": now,
                }
            )
        )
        value = await measured(self._traces, rule, now)
        since = now - timedelta(minutes=max(60, 24 * rule.window_minutes))
        search = Search(start=since, end=now, filter=rule.filter, environment=rule.environment)
        rows, _ = await self._traces.metrics(
            by.project, search, measures=[rule.measure], dimensions=[], interval="auto"
        )
        return value, rule.breached(value), [(row["time"], _plain(rule.measure, row[rule.measure])) for row in rows]

    def find(
        self, project_id: str, *, state: str, limit: int, skip: int
    ) -> list[tuple[Alert, list[tuple[str, Delivery]]]]:
        """Alerts, the newest first, each with what was told to which channel."""
        with self._control.read() as sql:
            found = store.list_alerts(sql, project_id, state=state, limit=limit, skip=skip)
        return self._told(project_id, found)

    def alert(self, project_id: str, alert_id: str) -> tuple[Alert, list[tuple[str, Delivery]]]:
        """One of them. Raises NotFound."""
        with self._control.read() as sql:
            found = store.get(sql, Alert, project_id, alert_id)
        return self._told(project_id, [found])[0]

    def _told(self, project_id: str, found: Sequence[Alert]) -> list[tuple[Alert, list[tuple[str, Delivery]]]]:
        with self._control.read() as sql:
            names = {channel.id: channel.name for channel in store.list_channels(sql, project_id)}
            told = store.deliveries_of(sql, [alert.id for alert in found]) if found else []
        return [
            (
                alert,
                [(names.get(one.channel_id, one.channel_id), one) for one in told if one.alert_id == alert.id],
            )
            for alert in found
        ]

    def _rule(self, tx: Transaction, project_id: str, fields: Mapping[str, Any]) -> AlertRule:
        rule = _checked_rule(
            AlertRule(**{**fields, "project_id": project_id, "channel_ids": tuple(fields.get("channel_ids") or ())})
        )
        known = {channel.id for channel in store.list_channels(tx.connection, project_id)}
        for channel_id in rule.channel_ids:
            if channel_id not in known:
                raise Invalid(f"There is no channel {channel_id[:80]!r} in this project.", param="channel_ids")
        return rule

    def _checked(self, channel: Channel) -> Channel:
        if channel.kind == "webhook":
            if not _URL.fullmatch(channel.url):
                raise Invalid(f"`url` is {channel.url[:80]!r}; expected an http(s) address.", param="url")
            self._check_url(channel.url)
        elif channel.kind == "email":
            wrong = next((one for one in channel.addresses if not _ADDRESS.fullmatch(one)), None)
            if not channel.addresses or len(channel.addresses) > 50 or wrong is not None:
                raise Invalid(
                    f"`addresses` has {str(wrong)[:80]!r}; expected 1 to 50 e-mail addresses.", param="addresses"
                )
        else:
            raise Invalid(f"`kind` is {channel.kind[:40]!r}; expected webhook or email.", param="kind")
        return channel


class Watch:
    """Looks at every enabled rule, and tells what changed."""

    def __init__(self, control: ControlStore, traces: Traces, teller: Teller, clock: Clock) -> None:
        self._control = control
        self._traces = traces
        self._teller = teller
        self._clock = clock

    async def look(self) -> int:
        """One round over all rules; says how many alerts began or ended. A rule that cannot be measured is left as it
        is."""
        changed = 0
        with self._control.read() as sql:
            rules = store.list_rules(sql)
        for rule in rules:
            try:
                value = await measured(self._traces, rule, self._clock.now())
            except OctavoError as error:
                log.warning("alert rule %s cannot be measured: %s", rule.id, error.message)
                continue
            changed += self._settle(rule, value)
        return changed

    async def tell(self) -> int:
        """Tells what is due; says how much was told."""
        with self._control.read() as sql:
            waiting = store.due(sql, self._clock.now(), limit=_MOST_DUE)
        return sum([await self._deliver(delivery) for delivery in waiting])

    def _settle(self, rule: AlertRule, value: float | None) -> int:
        now = self._clock.now()
        with self._control.transaction() as tx:
            alert = store.firing(tx.connection, rule.id)
            if rule.breached(value):
                if alert is not None:
                    store.put(tx.connection, msgspec.structs.replace(alert, value=value, calm=0))
                    return 0
                alert = Alert(
                    id=new_id("alt"),
                    project_id=rule.project_id,
                    rule_id=rule.id,
                    rule_name=rule.name,
                    state="firing",
                    value=value,
                    threshold=rule.threshold,
                    started_at=now,
                )
                store.add(tx.connection, alert)
            elif alert is None:
                return 0
            elif alert.calm + 1 < CALM:
                store.put(tx.connection, msgspec.structs.replace(alert, value=value, calm=alert.calm + 1))
                return 0
            else:
                alert = msgspec.structs.replace(alert, state="resolved", value=value, calm=CALM, resolved_at=now)
                store.put(tx.connection, alert)
            for channel_id in rule.channel_ids:
                store.add(
                    tx.connection,
                    Delivery(
                        id=new_id("dlv"),
                        project_id=rule.project_id,
                        alert_id=alert.id,
                        channel_id=channel_id,
                        event=alert.state,
                        state="pending",
                        due_at=now,
                        updated_at=now,
                    ),
                )
            tx.record(_event(alert, now))
        return 1

    async def _deliver(self, delivery: Delivery) -> int:
        with self._control.read() as sql:
            try:
                alert = store.get(sql, Alert, delivery.project_id, delivery.alert_id)
                channel = store.get(sql, Channel, delivery.project_id, delivery.channel_id)
            except OctavoError as error:
                told, alert, channel = Told(False, 0, error.message), None, None
        if alert is not None and channel is not None:
            told = await self._teller.tell(channel, message_of(alert, delivery))
        now = self._clock.now()
        attempts = delivery.attempts + 1
        given_up = alert is None or channel is None or attempts > len(_BACKOFF)
        state = "delivered" if told.ok else "failed" if given_up else "pending"
        after = msgspec.structs.replace(
            delivery,
            state=state,
            attempts=attempts,
            last_error="" if told.ok else told.message[:500],
            due_at=now if state != "pending" else now + _BACKOFF[attempts - 1],
            updated_at=now,
        )
        with self._control.transaction() as tx:
            store.put(tx.connection, after)
        return int(told.ok)


async def measured(traces: Traces, rule: AlertRule, now: datetime) -> float | None:
    """The rule's measure over its window; None when there was nothing to measure."""
    search = Search(
        start=now - timedelta(minutes=rule.window_minutes), end=now, filter=rule.filter, environment=rule.environment
    )
    rows, _ = await traces.metrics(
        rule.project_id, search, measures=[rule.measure, "count"], dimensions=[], interval="none"
    )
    if not rows or (not rows[0]["count"] and rule.measure not in ("count", "calls")):
        return None
    return _plain(rule.measure, rows[0][rule.measure])


def signed(message: Message, secret: bytes, now: datetime) -> dict[str, str]:
    """The headers of a webhook, signed as Standard Webhooks says (standardwebhooks.com): HMAC-SHA256 over id, time and
    body."""
    at = str(int(now.timestamp()))
    key = base64.b64decode(secret.decode().removeprefix("whsec_"))
    said = b".".join((message.id.encode(), at.encode(), message.body))
    signature = base64.b64encode(hmac.new(key, said, hashlib.sha256).digest()).decode()
    return {
        "content-type": "application/json",
        "user-agent": "octavo",
        "webhook-id": message.id,
        "webhook-timestamp": at,
        "webhook-signature": f"v1,{signature}",
    }


def message_of(alert: Alert, delivery: Delivery) -> Message:
    """What is told of an alert; the same telling has the same id however often it is sent."""
    fires = delivery.event == "firing"
    value = "nothing measured" if alert.value is None else f"{alert.value:g}"
    text = (
        f"{alert.rule_name}: {value}, threshold {alert.threshold:g}, since {alert.started_at:%Y-%m-%d %H:%M} UTC."
        if fires
        else f"{alert.rule_name} holds again since {alert.resolved_at:%Y-%m-%d %H:%M} UTC."
    )
    body: dict[str, JSON] = {
        "type": f"alert.{delivery.event}",
        "alert_id": alert.id,
        "rule_id": alert.rule_id,
        "rule": alert.rule_name,
        "state": delivery.event,
        "value": alert.value,
        "threshold": alert.threshold,
        "started_at": alert.started_at.isoformat(),
        "resolved_at": None if alert.resolved_at is None else alert.resolved_at.isoformat(),
        "message": text,
    }
    subject = f"Octavo: {alert.rule_name} {'fires' if fires else 'is resolved'}"
    return Message(delivery.id, subject, text, orjson.dumps(body))


def channel_view(channel: Channel) -> dict[str, JSON]:
    """What is told of a channel in events."""
    return {
        "name": channel.name,
        "kind": channel.kind,
        "url": channel.url,
        "addresses": list(channel.addresses),
    }


def rule_view(rule: AlertRule) -> dict[str, JSON]:
    """What is told of a rule in events."""
    names = ("name", "measure", "filter", "environment", "window_minutes", "direction", "threshold", "enabled")
    return {**{name: getattr(rule, name) for name in names}, "channel_ids": list(rule.channel_ids)}


def _checked_rule(rule: AlertRule) -> AlertRule:
    known_names("measure", [rule.measure], MEASURES)
    if rule.direction not in ("above", "below"):
        raise Invalid(f"`direction` is {rule.direction[:40]!r}; expected above or below.", param="direction")
    Search(filter=rule.filter).scope(rule.project_id)
    return rule


def _plain(measure: str, value: Any) -> float | None:
    if value is None or value != value:
        return None
    return float(value) / 1e9 if measure == "cost_usd" else float(value)


def _context(channel_id: str) -> str:
    return f"channel:{channel_id}"


def _event(alert: Alert, at: datetime) -> Event:
    return Event(
        id=new_id("evt"),
        at=at,
        actor=SYSTEM,
        action="alert.started" if alert.state == "firing" else "alert.resolved",
        subject_kind="alert",
        subject_id=alert.id,
        project_id=alert.project_id,
        before_digest=None,
        after_digest=None,
        details={"rule": alert.rule_name, "value": alert.value, "threshold": alert.threshold},
    )
