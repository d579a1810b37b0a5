"""Alert rules, channels and alerts, over HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from anyio import to_thread
from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from octavo_server.core.errors import Invalid
from octavo_server.edge.access import Caller, Permission, allows
from octavo_server.edge.pagination import Page, decode_cursor, encode_cursor
from octavo_server.traces.model import Alert, AlertRule, Channel, Delivery
from octavo_server.traces.routes.params import Cursor, Limit
from octavo_server.traces.service.alerts import Alerts

_Name = Annotated[str, Field(min_length=1, max_length=200)]


class ChannelIn(BaseModel):
    """Where to tell alerts: a webhook's `url`, or e-mail `addresses`."""

    name: _Name
    kind: Literal["webhook", "email"]
    url: Annotated[str, Field(max_length=2000)] = ""
    addresses: Annotated[list[str], Field(max_length=50)] = []


class ChannelChange(BaseModel):
    """What is to be another; the rest stays."""

    name: _Name | None = None
    url: Annotated[str | None, Field(max_length=2000)] = None
    addresses: Annotated[list[str] | None, Field(max_length=50)] = None


class ChannelOut(ChannelIn):
    """A channel. `secret`, which webhooks are signed with, is told once, when the channel is made."""

    id: str
    secret: str | None = None


class ChannelTest(BaseModel):
    """What came of telling a channel."""

    ok: bool
    status: int
    message: str


class AlertRuleIn(BaseModel):
    """A measure of `GET /metrics`, looked at every minute over the last `window_minutes`."""

    name: _Name
    measure: Annotated[str, Field(max_length=40)]
    filter: Annotated[str, Field(max_length=4000)] = ""
    environment: Annotated[str, Field(max_length=40)] = ""
    window_minutes: Annotated[int, Field(ge=1, le=1440)] = 5
    direction: Literal["above", "below"] = "above"
    threshold: Annotated[float, Field(allow_inf_nan=False)]
    channel_ids: Annotated[list[str], Field(max_length=20)] = []
    enabled: bool = True


class AlertRuleChange(BaseModel):
    """What is to be another; the rest stays."""

    name: _Name | None = None
    measure: Annotated[str | None, Field(max_length=40)] = None
    filter: Annotated[str | None, Field(max_length=4000)] = None
    environment: Annotated[str | None, Field(max_length=40)] = None
    window_minutes: Annotated[int | None, Field(ge=1, le=1440)] = None
    direction: Literal["above", "below"] | None = None
    threshold: Annotated[float | None, Field(allow_inf_nan=False)] = None
    channel_ids: Annotated[list[str] | None, Field(max_length=20)] = None
    enabled: bool | None = None


class AlertRuleOut(AlertRuleIn):
    """A rule."""

    id: str


class RulePreview(BaseModel):
    """What a rule would say now; `value` is null when there is nothing to measure."""

    value: float | None
    would_fire: bool
    series: list[tuple[datetime, float | None]]


class DeliveryOut(BaseModel):
    """One telling: pending, delivered, or failed when it was given up."""

    channel: str
    event: str
    state: str
    attempts: int
    last_error: str | None
    at: datetime


class AlertOut(BaseModel):
    """A rule that was breached."""

    id: str
    rule_id: str
    rule_name: str
    state: str
    value: float | None
    threshold: float
    started_at: datetime
    resolved_at: datetime | None
    deliveries: list[DeliveryOut]


def build_alerts_router(alerts: Alerts) -> APIRouter:
    """Routes of alerts."""
    router = APIRouter(tags=["alerts"])

    @router.get("/channels", **allows(Permission.TRACES_READ))
    def list_channels(caller: Caller) -> Page[ChannelOut]:
        """Where alerts can be told, by name."""
        return Page(data=[_channel(one) for one in alerts.channels(caller.project)])

    @router.post("/channels", status_code=201, **allows(Permission.PROJECTS_WRITE))
    def create_channel(caller: Caller, body: ChannelIn) -> ChannelOut:
        """Makes a channel; a webhook's secret is in this answer only."""
        channel, secret = alerts.create_channel(caller, **body.model_dump())
        return _channel(channel, secret or None)

    @router.patch("/channels/{channel_id}", **allows(Permission.PROJECTS_WRITE))
    def change_channel(caller: Caller, channel_id: str, body: ChannelChange) -> ChannelOut:
        """Changes a channel."""
        changes = body.model_dump(exclude_none=True)
        if "addresses" in changes:
            changes["addresses"] = tuple(changes["addresses"])
        return _channel(alerts.change_channel(caller, channel_id, changes))

    @router.delete("/channels/{channel_id}", status_code=204, **allows(Permission.PROJECTS_WRITE))
    def delete_channel(caller: Caller, channel_id: str) -> None:
        """Forgets a channel."""
        alerts.delete_channel(caller, channel_id)

    @router.post("/channels/{channel_id}/test", **allows(Permission.PROJECTS_WRITE))
    async def test_channel(caller: Caller, channel_id: str) -> ChannelTest:
        """Tells a channel that this is a test."""
        channel = await to_thread.run_sync(alerts.channel, caller.project, channel_id)
        return ChannelTest(**(await alerts.test_channel(channel))._asdict())

    @router.get("/alert-rules", **allows(Permission.TRACES_READ))
    def list_alert_rules(caller: Caller) -> Page[AlertRuleOut]:
        """The rules, by name."""
        return Page(data=[_rule(one) for one in alerts.rules(caller.project)])

    @router.post("/alert-rules", status_code=201, **allows(Permission.PROJECTS_WRITE))
    def create_alert_rule(caller: Caller, body: AlertRuleIn) -> AlertRuleOut:
        """Makes a rule."""
        return _rule(alerts.create_rule(caller, body.model_dump()))

    @router.post("/alert-rules/preview", **allows(Permission.TRACES_READ))
    async def preview_alert_rule(caller: Caller, body: AlertRuleIn) -> RulePreview:
        """What a rule would say now, without making it."""
        value, would_fire, series = await alerts.preview(caller, body.model_dump())
        return RulePreview(value=value, would_fire=would_fire, series=series)

    @router.patch("/alert-rules/{rule_id}", **allows(Permission.PROJECTS_WRITE))
    def change_alert_rule(caller: Caller, rule_id: str, body: AlertRuleChange) -> AlertRuleOut:
        """Changes a rule."""
        return _rule(alerts.change_rule(caller, rule_id, body.model_dump(exclude_none=True)))

    @router.delete("/alert-rules/{rule_id}", status_code=204, **allows(Permission.PROJECTS_WRITE))
    def delete_alert_rule(caller: Caller, rule_id: str) -> None:
        """Forgets a rule."""
        alerts.delete_rule(caller, rule_id)

    @router.get("/alerts", **allows(Permission.TRACES_READ))
    def list_alerts(
        caller: Caller,
        state: Annotated[Literal["firing", "resolved"] | None, Query()] = None,
        limit: Limit = 50,
        cursor: Cursor = "",
    ) -> Page[AlertOut]:
        """Alerts, the newest first, with what was told of them."""
        skip = decode_cursor(cursor) if cursor else 0
        if not isinstance(skip, int) or skip < 0:
            raise Invalid("the cursor is not one of this list; start again without it", param="cursor")
        found = alerts.find(caller.project, state=state or "", limit=limit + 1, skip=skip)
        following = encode_cursor(skip + limit) if len(found) > limit else None
        return Page(data=[_alert(alert, told) for alert, told in found[:limit]], next_cursor=following)

    @router.get("/alerts/{alert_id}", **allows(Permission.TRACES_READ))
    def read_alert(caller: Caller, alert_id: str) -> AlertOut:
        """One alert, with what was told of it."""
        return _alert(*alerts.alert(caller.project, alert_id))

    return router


def _channel(channel: Channel, secret: str | None = None) -> ChannelOut:
    shown: dict[str, Any] = {name: getattr(channel, name) for name in ("id", "name", "kind", "url")}
    return ChannelOut(**shown, addresses=list(channel.addresses), secret=secret)


def _rule(rule: AlertRule) -> AlertRuleOut:
    shown = {name: getattr(rule, name) for name in AlertRuleOut.model_fields if name != "channel_ids"}
    return AlertRuleOut(**shown, channel_ids=list(rule.channel_ids))


def _alert(alert: Alert, told: list[tuple[str, Delivery]]) -> AlertOut:
    shown = {name: getattr(alert, name) for name in AlertOut.model_fields if name != "deliveries"}
    return AlertOut(
        **shown,
        deliveries=[
            DeliveryOut(
                channel=channel,
                event=one.event,
                state=one.state,
                attempts=one.attempts,
                last_error=one.last_error or None,
                at=one.updated_at,
            )
            for channel, one in told
        ],
    )
