"""Made from openapi.json by `make openapi`; do not edit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast

from octavo.api import types
from octavo.api.sending import NOT_GIVEN, NotGiven


class Calls:
    """Every call of the control API. Raises `octavo.errors`."""

    def _call(
        self,
        method: str,
        path: str,
        values: Sequence[str] = (),
        *,
        params: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Any:
        raise NotImplementedError

    def read_accounting(self) -> types.Accounting:
        """What became of all records: accepted, stored, rejected, dropped, and how many wait."""
        return cast("types.Accounting", self._call("GET", "/api/v1/accounting"))

    def list_alert_rules(self) -> types.Page[types.AlertRule]:
        """The rules, by name."""
        return cast("types.Page[types.AlertRule]", self._call("GET", "/api/v1/alert-rules"))

    def create_alert_rule(
        self,
        *,
        measure: str,
        name: str,
        threshold: float,
        channel_ids: list[str] | NotGiven = NOT_GIVEN,
        direction: Literal["above", "below"] | NotGiven = NOT_GIVEN,
        enabled: bool | NotGiven = NOT_GIVEN,
        environment: str | NotGiven = NOT_GIVEN,
        filter: str | NotGiven = NOT_GIVEN,
        window_minutes: int | NotGiven = NOT_GIVEN,
    ) -> types.AlertRule:
        """Makes a rule."""
        return cast(
            "types.AlertRule",
            self._call(
                "POST",
                "/api/v1/alert-rules",
                body={
                    "measure": measure,
                    "name": name,
                    "threshold": threshold,
                    "channel_ids": channel_ids,
                    "direction": direction,
                    "enabled": enabled,
                    "environment": environment,
                    "filter": filter,
                    "window_minutes": window_minutes,
                },
            ),
        )

    def preview_alert_rule(
        self,
        *,
        measure: str,
        name: str,
        threshold: float,
        channel_ids: list[str] | NotGiven = NOT_GIVEN,
        direction: Literal["above", "below"] | NotGiven = NOT_GIVEN,
        enabled: bool | NotGiven = NOT_GIVEN,
        environment: str | NotGiven = NOT_GIVEN,
        filter: str | NotGiven = NOT_GIVEN,
        window_minutes: int | NotGiven = NOT_GIVEN,
    ) -> types.RulePreview:
        """What a rule would say now, without making it."""
        return cast(
            "types.RulePreview",
            self._call(
                "POST",
                "/api/v1/alert-rules/preview",
                body={
                    "measure": measure,
                    "name": name,
                    "threshold": threshold,
                    "channel_ids": channel_ids,
                    "direction": direction,
                    "enabled": enabled,
                    "environment": environment,
                    "filter": filter,
                    "window_minutes": window_minutes,
                },
            ),
        )

    def delete_alert_rule(self, rule_id: str) -> None:
        """Forgets a rule."""
        self._call("DELETE", "/api/v1/alert-rules/{}", (rule_id,))

    def change_alert_rule(
        self,
        rule_id: str,
        *,
        channel_ids: list[str] | NotGiven | None = NOT_GIVEN,
        direction: Literal["above", "below"] | NotGiven | None = NOT_GIVEN,
        enabled: bool | NotGiven | None = NOT_GIVEN,
        environment: str | NotGiven | None = NOT_GIVEN,
        filter: str | NotGiven | None = NOT_GIVEN,
        measure: str | NotGiven | None = NOT_GIVEN,
        name: str | NotGiven | None = NOT_GIVEN,
        threshold: float | NotGiven | None = NOT_GIVEN,
        window_minutes: int | NotGiven | None = NOT_GIVEN,
    ) -> types.AlertRule:
        """Changes a rule."""
        return cast(
            "types.AlertRule",
            self._call(
                "PATCH",
                "/api/v1/alert-rules/{}",
                (rule_id,),
                body={
                    "channel_ids": channel_ids,
                    "direction": direction,
                    "enabled": enabled,
                    "environment": environment,
                    "filter": filter,
                    "measure": measure,
                    "name": name,
                    "threshold": threshold,
                    "window_minutes": window_minutes,
                },
            ),
        )

    def list_alerts(
        self,
        *,
        state: Literal["firing", "resolved"] | NotGiven | None = NOT_GIVEN,
        limit: int | NotGiven = NOT_GIVEN,
        cursor: str | NotGiven = NOT_GIVEN,
    ) -> types.Page[types.Alert]:
        """Alerts, the newest first, with what was told of them."""
        return cast(
            "types.Page[types.Alert]",
            self._call("GET", "/api/v1/alerts", params={"state": state, "limit": limit, "cursor": cursor}),
        )

    def read_alert(self, alert_id: str) -> types.Alert:
        """One alert, with what was told of it."""
        return cast("types.Alert", self._call("GET", "/api/v1/alerts/{}", (alert_id,)))

    def list_keys(self) -> types.Page[types.Key]:
        """The project's API keys, newest first, revoked ones included; never their secrets."""
        return cast("types.Page[types.Key]", self._call("GET", "/api/v1/api-keys"))

    def create_key(
        self,
        *,
        name: str,
        allowed_apps: list[str] | NotGiven = NOT_GIVEN,
        allowed_models: list[str] | NotGiven = NOT_GIVEN,
        environment: str | NotGiven = NOT_GIVEN,
        expires_at: str | NotGiven | None = NOT_GIVEN,
        scopes: list[types.Permission] | NotGiven | None = NOT_GIVEN,
    ) -> types.NewKey:
        """Makes an API key. The answer holds `secret_key`, which is shown this once. The secret alone is an OpenAI bearer key; public and secret together are Basic credentials."""
        return cast(
            "types.NewKey",
            self._call(
                "POST",
                "/api/v1/api-keys",
                body={
                    "name": name,
                    "allowed_apps": allowed_apps,
                    "allowed_models": allowed_models,
                    "environment": environment,
                    "expires_at": expires_at,
                    "scopes": scopes,
                },
            ),
        )

    def revoke_key(self, key_id: str) -> types.Key:
        """Revokes an API key for good. It stays in the list, marked."""
        return cast("types.Key", self._call("DELETE", "/api/v1/api-keys/{}", (key_id,)))

    def list_channels(self) -> types.Page[types.Channel]:
        """Where alerts can be told, by name."""
        return cast("types.Page[types.Channel]", self._call("GET", "/api/v1/channels"))

    def create_channel(
        self,
        *,
        kind: Literal["webhook", "email"],
        name: str,
        addresses: list[str] | NotGiven = NOT_GIVEN,
        url: str | NotGiven = NOT_GIVEN,
    ) -> types.Channel:
        """Makes a channel; a webhook's secret is in this answer only."""
        return cast(
            "types.Channel",
            self._call(
                "POST", "/api/v1/channels", body={"kind": kind, "name": name, "addresses": addresses, "url": url}
            ),
        )

    def delete_channel(self, channel_id: str) -> None:
        """Forgets a channel."""
        self._call("DELETE", "/api/v1/channels/{}", (channel_id,))

    def change_channel(
        self,
        channel_id: str,
        *,
        addresses: list[str] | NotGiven | None = NOT_GIVEN,
        name: str | NotGiven | None = NOT_GIVEN,
        url: str | NotGiven | None = NOT_GIVEN,
    ) -> types.Channel:
        """Changes a channel."""
        return cast(
            "types.Channel",
            self._call(
                "PATCH", "/api/v1/channels/{}", (channel_id,), body={"addresses": addresses, "name": name, "url": url}
            ),
        )

    def test_channel(self, channel_id: str) -> types.ChannelTest:
        """Tells a channel that this is a test."""
        return cast("types.ChannelTest", self._call("POST", "/api/v1/channels/{}/test", (channel_id,)))

    def list_comments(self, *, trace_id: str, span_id: str | NotGiven = NOT_GIVEN) -> types.Page[types.Comment]:
        """What is said about a trace, or about one span of it."""
        return cast(
            "types.Page[types.Comment]",
            self._call("GET", "/api/v1/comments", params={"trace_id": trace_id, "span_id": span_id}),
        )

    def create_comment(self, *, text: str, trace_id: str, span_id: str | NotGiven = NOT_GIVEN) -> types.Comment:
        """Says something about a trace or a span."""
        return cast(
            "types.Comment",
            self._call("POST", "/api/v1/comments", body={"text": text, "trace_id": trace_id, "span_id": span_id}),
        )

    def delete_comment(self, comment_id: str) -> None:
        """Takes a comment back."""
        self._call("DELETE", "/api/v1/comments/{}", (comment_id,))

    def list_connections(self) -> types.Page[types.Connection]:
        """The project's connections to providers, by name."""
        return cast("types.Page[types.Connection]", self._call("GET", "/api/v1/connections"))

    def create_connection(
        self,
        *,
        name: str,
        provider: str,
        base_url: str | NotGiven | None = NOT_GIVEN,
        is_default: bool | NotGiven | None = NOT_GIVEN,
        models: list[str] | NotGiven | None = NOT_GIVEN,
        options: dict[str, Any] | NotGiven | None = NOT_GIVEN,
        prices_as: str | NotGiven | None = NOT_GIVEN,
        secret: str | NotGiven | None = NOT_GIVEN,
    ) -> types.Connection:
        """Connects the project to a provider. The first connection becomes the default."""
        return cast(
            "types.Connection",
            self._call(
                "POST",
                "/api/v1/connections",
                body={
                    "name": name,
                    "provider": provider,
                    "base_url": base_url,
                    "is_default": is_default,
                    "models": models,
                    "options": options,
                    "prices_as": prices_as,
                    "secret": secret,
                },
            ),
        )

    def delete_connection(self, connection_id: str) -> None:
        """Deletes a connection that no route leads to."""
        self._call("DELETE", "/api/v1/connections/{}", (connection_id,))

    def get_connection(self, connection_id: str) -> types.Connection:
        """One connection."""
        return cast("types.Connection", self._call("GET", "/api/v1/connections/{}", (connection_id,)))

    def update_connection(
        self,
        connection_id: str,
        *,
        base_url: str | NotGiven | None = NOT_GIVEN,
        is_default: bool | NotGiven | None = NOT_GIVEN,
        models: list[str] | NotGiven | None = NOT_GIVEN,
        name: str | NotGiven | None = NOT_GIVEN,
        options: dict[str, Any] | NotGiven | None = NOT_GIVEN,
        prices_as: str | NotGiven | None = NOT_GIVEN,
        secret: str | NotGiven | None = NOT_GIVEN,
    ) -> types.Connection:
        """Changes a connection; the gateway uses it from its next call on."""
        return cast(
            "types.Connection",
            self._call(
                "PATCH",
                "/api/v1/connections/{}",
                (connection_id,),
                body={
                    "base_url": base_url,
                    "is_default": is_default,
                    "models": models,
                    "name": name,
                    "options": options,
                    "prices_as": prices_as,
                    "secret": secret,
                },
            ),
        )

    def test_connection(self, connection_id: str) -> types.Probe:
        """Sends the provider a free request with the connection's key and lists the models it answers with."""
        return cast("types.Probe", self._call("POST", "/api/v1/connections/{}/test", (connection_id,)))

    def list_datasets(
        self,
        *,
        search: str | NotGiven = NOT_GIVEN,
        limit: int | NotGiven = NOT_GIVEN,
        cursor: str | NotGiven = NOT_GIVEN,
    ) -> types.Page[types.Dataset]:
        """Datasets by name: those with `search` in it."""
        return cast(
            "types.Page[types.Dataset]",
            self._call("GET", "/api/v1/datasets", params={"search": search, "limit": limit, "cursor": cursor}),
        )

    def create_dataset(
        self,
        *,
        name: str,
        description: str | NotGiven = NOT_GIVEN,
        expected_schema: dict[str, Any] | NotGiven | None = NOT_GIVEN,
        input_schema: dict[str, Any] | NotGiven | None = NOT_GIVEN,
        metadata: Any | NotGiven = NOT_GIVEN,
        splits: dict[str, int] | NotGiven = NOT_GIVEN,
    ) -> types.Dataset:
        """Makes a dataset; its version 1 is empty."""
        return cast(
            "types.Dataset",
            self._call(
                "POST",
                "/api/v1/datasets",
                body={
                    "name": name,
                    "description": description,
                    "expected_schema": expected_schema,
                    "input_schema": input_schema,
                    "metadata": metadata,
                    "splits": splits,
                },
            ),
        )

    def delete_dataset(self, dataset: str) -> None:
        """Deletes a dataset with all its versions. Runs over it keep what they recorded."""
        self._call("DELETE", "/api/v1/datasets/{}", (dataset,))

    def read_dataset(self, dataset: str) -> types.Dataset:
        """One dataset."""
        return cast("types.Dataset", self._call("GET", "/api/v1/datasets/{}", (dataset,)))

    def change_dataset(
        self,
        dataset: str,
        *,
        description: str | NotGiven = NOT_GIVEN,
        expected_schema: dict[str, Any] | NotGiven | None = NOT_GIVEN,
        input_schema: dict[str, Any] | NotGiven | None = NOT_GIVEN,
        metadata: Any | NotGiven = NOT_GIVEN,
        name: str | NotGiven = NOT_GIVEN,
        splits: dict[str, int] | NotGiven = NOT_GIVEN,
    ) -> types.Dataset:
        """Changes what is given of a dataset. Other splits make another version."""
        return cast(
            "types.Dataset",
            self._call(
                "PATCH",
                "/api/v1/datasets/{}",
                (dataset,),
                body={
                    "description": description,
                    "expected_schema": expected_schema,
                    "input_schema": input_schema,
                    "metadata": metadata,
                    "name": name,
                    "splits": splits,
                },
            ),
        )

    def remove_dataset_cases(
        self, dataset: str, *, id: list[str], message: str | NotGiven = NOT_GIVEN
    ) -> types.DatasetVersion:
        """Takes cases out, as the next version. The versions that had them keep them."""
        return cast(
            "types.DatasetVersion",
            self._call("DELETE", "/api/v1/datasets/{}/cases", (dataset,), params={"id": id, "message": message}),
        )

    def list_dataset_cases(
        self,
        dataset: str,
        *,
        version: str | NotGiven = NOT_GIVEN,
        split: str | NotGiven = NOT_GIVEN,
        tag: list[str] | NotGiven | None = NOT_GIVEN,
        limit: int | NotGiven = NOT_GIVEN,
        cursor: str | NotGiven = NOT_GIVEN,
    ) -> types.CasesPage:
        """Cases of a version in their order: those of a split, with every `tag`."""
        return cast(
            "types.CasesPage",
            self._call(
                "GET",
                "/api/v1/datasets/{}/cases",
                (dataset,),
                params={"version": version, "split": split, "tag": tag, "limit": limit, "cursor": cursor},
            ),
        )

    def put_dataset_cases(
        self,
        dataset: str,
        *,
        cases: list[types.CaseIn],
        expected: int | NotGiven | None = NOT_GIVEN,
        message: str | NotGiven = NOT_GIVEN,
        skip_duplicates: bool | NotGiven = NOT_GIVEN,
    ) -> types.Put:
        """Puts cases in, all or none, as the next version. Content that is there already is left out and reported."""
        return cast(
            "types.Put",
            self._call(
                "POST",
                "/api/v1/datasets/{}/cases",
                (dataset,),
                body={"cases": cases, "expected": expected, "message": message, "skip_duplicates": skip_duplicates},
            ),
        )

    def take_cases_from_traces(
        self,
        dataset: str,
        *,
        end: str | NotGiven = NOT_GIVEN,
        environment: str | NotGiven = NOT_GIVEN,
        expected: Literal["correction", "output", "none"] | NotGiven = NOT_GIVEN,
        filter: str | NotGiven = NOT_GIVEN,
        limit: int | NotGiven = NOT_GIVEN,
        message: str | NotGiven = NOT_GIVEN,
        span_ids: list[str] | NotGiven = NOT_GIVEN,
        split: str | NotGiven = NOT_GIVEN,
        start: str | NotGiven = NOT_GIVEN,
        tags: list[str] | NotGiven = NOT_GIVEN,
        trace_ids: list[str] | NotGiven = NOT_GIVEN,
    ) -> types.Put:
        """Makes cases of traces or spans: their input, what a person said it should have answered, and what retrievers found."""
        return cast(
            "types.Put",
            self._call(
                "POST",
                "/api/v1/datasets/{}/cases/from-traces",
                (dataset,),
                body={
                    "end": end,
                    "environment": environment,
                    "expected": expected,
                    "filter": filter,
                    "limit": limit,
                    "message": message,
                    "span_ids": span_ids,
                    "split": split,
                    "start": start,
                    "tags": tags,
                    "trace_ids": trace_ids,
                },
            ),
        )

    def read_dataset_case(self, dataset: str, case_id: str) -> types.DatasetCase:
        """A case as it is now, or was last."""
        return cast(
            "types.DatasetCase",
            self._call(
                "GET",
                "/api/v1/datasets/{}/cases/{}",
                (
                    dataset,
                    case_id,
                ),
            ),
        )

    def compare_dataset_versions(
        self, dataset: str, *, before: str, after: str | NotGiven = NOT_GIVEN
    ) -> list[types.CaseDifference]:
        """The cases in which two versions differ. A version is a number, a digest or `latest`."""
        return cast(
            "list[types.CaseDifference]",
            self._call("GET", "/api/v1/datasets/{}/diff", (dataset,), params={"before": before, "after": after}),
        )

    def import_dataset(
        self,
        dataset: str,
        *,
        content: str,
        format: Literal["jsonl", "csv", "json"],
        expected: int | NotGiven | None = NOT_GIVEN,
        mapping: types.ColumnsIn | NotGiven = NOT_GIVEN,
        message: str | NotGiven = NOT_GIVEN,
        skip_duplicates: bool | NotGiven = NOT_GIVEN,
        split: str | NotGiven = NOT_GIVEN,
        tags: list[str] | NotGiven = NOT_GIVEN,
    ) -> types.Put:
        """Puts the cases of a file in, all or none; a refusal says which lines cannot be read. What `mapping` does not say goes by the names of the columns."""
        return cast(
            "types.Put",
            self._call(
                "POST",
                "/api/v1/datasets/{}/import",
                (dataset,),
                body={
                    "content": content,
                    "format": format,
                    "expected": expected,
                    "mapping": mapping,
                    "message": message,
                    "skip_duplicates": skip_duplicates,
                    "split": split,
                    "tags": tags,
                },
            ),
        )

    def check_dataset_leakage(
        self, dataset: str, *, version: str | NotGiven = NOT_GIVEN, similarity: float | NotGiven = NOT_GIVEN
    ) -> types.LeakageReport:
        """Cases that ask nearly the same, between splits and within them, by the share of three-word runs that they have in common."""
        return cast(
            "types.LeakageReport",
            self._call(
                "GET", "/api/v1/datasets/{}/leakage", (dataset,), params={"version": version, "similarity": similarity}
            ),
        )

    def list_dataset_versions(
        self, dataset: str, *, limit: int | NotGiven = NOT_GIVEN, cursor: str | NotGiven = NOT_GIVEN
    ) -> types.Page[types.DatasetVersion]:
        """Versions, the newest first."""
        return cast(
            "types.Page[types.DatasetVersion]",
            self._call("GET", "/api/v1/datasets/{}/versions", (dataset,), params={"limit": limit, "cursor": cursor}),
        )

    def list_end_users(
        self,
        *,
        limit: int | NotGiven = NOT_GIVEN,
        from_: str | NotGiven = NOT_GIVEN,
        to: str | NotGiven = NOT_GIVEN,
        filter: str | NotGiven = NOT_GIVEN,
        search: str | NotGiven = NOT_GIVEN,
        environment: str | NotGiven = NOT_GIVEN,
    ) -> types.Page[types.Group]:
        """The application's users, those seen last first."""
        return cast(
            "types.Page[types.Group]",
            self._call(
                "GET",
                "/api/v1/end-users",
                params={
                    "limit": limit,
                    "from": from_,
                    "to": to,
                    "filter": filter,
                    "search": search,
                    "environment": environment,
                },
            ),
        )

    def list_environments(self) -> types.Page[types.Environment]:
        """The project's environments, oldest first."""
        return cast("types.Page[types.Environment]", self._call("GET", "/api/v1/environments"))

    def create_environment(self, *, name: str) -> types.Environment:
        """Adds an environment: 1 to 40 of a-z, 0-9, '-' and '_', not starting with 'langfuse'."""
        return cast("types.Environment", self._call("POST", "/api/v1/environments", body={"name": name}))

    def list_events(
        self,
        *,
        subject_kind: str | NotGiven = NOT_GIVEN,
        subject_id: str | NotGiven = NOT_GIVEN,
        actor: str | NotGiven = NOT_GIVEN,
        action: str | NotGiven = NOT_GIVEN,
        scope: Literal["project", "server"] | NotGiven = NOT_GIVEN,
        cursor: str | NotGiven | None = NOT_GIVEN,
        limit: int | NotGiven = NOT_GIVEN,
    ) -> types.Page[types.Event]:
        """Who changed what, newest first."""
        return cast(
            "types.Page[types.Event]",
            self._call(
                "GET",
                "/api/v1/events",
                params={
                    "subject_kind": subject_kind,
                    "subject_id": subject_id,
                    "actor": actor,
                    "action": action,
                    "scope": scope,
                    "cursor": cursor,
                    "limit": limit,
                },
            ),
        )

    def list_failures(
        self,
        *,
        limit: int | NotGiven = NOT_GIVEN,
        cursor: str | NotGiven = NOT_GIVEN,
        from_: str | NotGiven = NOT_GIVEN,
        to: str | NotGiven = NOT_GIVEN,
        filter: str | NotGiven = NOT_GIVEN,
        search: str | NotGiven = NOT_GIVEN,
        environment: str | NotGiven = NOT_GIVEN,
    ) -> types.Page[types.Failure]:
        """Failures by signature, the most frequent first; of the last day unless `from` says otherwise."""
        return cast(
            "types.Page[types.Failure]",
            self._call(
                "GET",
                "/api/v1/failures",
                params={
                    "limit": limit,
                    "cursor": cursor,
                    "from": from_,
                    "to": to,
                    "filter": filter,
                    "search": search,
                    "environment": environment,
                },
            ),
        )

    def read_failure(
        self,
        signature: str,
        *,
        from_: str | NotGiven = NOT_GIVEN,
        to: str | NotGiven = NOT_GIVEN,
        filter: str | NotGiven = NOT_GIVEN,
        search: str | NotGiven = NOT_GIVEN,
        environment: str | NotGiven = NOT_GIVEN,
    ) -> types.FailureDetail:
        """One failure and how it is spread over models, providers, environments and releases."""
        return cast(
            "types.FailureDetail",
            self._call(
                "GET",
                "/api/v1/failures/{}",
                (signature,),
                params={"from": from_, "to": to, "filter": filter, "search": search, "environment": environment},
            ),
        )

    def list_latency_owners(
        self,
        *,
        from_: str | NotGiven = NOT_GIVEN,
        to: str | NotGiven = NOT_GIVEN,
        filter: str | NotGiven = NOT_GIVEN,
        search: str | NotGiven = NOT_GIVEN,
        environment: str | NotGiven = NOT_GIVEN,
    ) -> types.Page[types.LatencyOwner]:
        """Whose latency it was: steps by name and kind with their part of all critical paths."""
        return cast(
            "types.Page[types.LatencyOwner]",
            self._call(
                "GET",
                "/api/v1/latency/owners",
                params={"from": from_, "to": to, "filter": filter, "search": search, "environment": environment},
            ),
        )

    def query_metrics(
        self,
        *,
        measures: str | NotGiven = NOT_GIVEN,
        dimensions: str | NotGiven = NOT_GIVEN,
        interval: str | NotGiven = NOT_GIVEN,
        from_: str | NotGiven = NOT_GIVEN,
        to: str | NotGiven = NOT_GIVEN,
        filter: str | NotGiven = NOT_GIVEN,
        search: str | NotGiven = NOT_GIVEN,
        environment: str | NotGiven = NOT_GIVEN,
    ) -> types.Metrics:
        """Measures over the matching spans, by time bucket and dimensions."""
        return cast(
            "types.Metrics",
            self._call(
                "GET",
                "/api/v1/metrics",
                params={
                    "measures": measures,
                    "dimensions": dimensions,
                    "interval": interval,
                    "from": from_,
                    "to": to,
                    "filter": filter,
                    "search": search,
                    "environment": environment,
                },
            ),
        )

    def count_stored(self) -> types.Count:
        """How many traces and spans can be queried now, exactly."""
        return cast("types.Count", self._call("GET", "/api/v1/metrics/count"))

    def query_score_metrics(
        self,
        *,
        measures: str | NotGiven = NOT_GIVEN,
        dimensions: str | NotGiven = NOT_GIVEN,
        interval: str | NotGiven = NOT_GIVEN,
        trace_id: str | NotGiven = NOT_GIVEN,
        span_id: str | NotGiven = NOT_GIVEN,
        session_id: str | NotGiven = NOT_GIVEN,
        name: str | NotGiven = NOT_GIVEN,
        source: str | NotGiven = NOT_GIVEN,
        environment: str | NotGiven = NOT_GIVEN,
        from_: str | NotGiven = NOT_GIVEN,
        to: str | NotGiven = NOT_GIVEN,
    ) -> types.Metrics:
        """Measures of scores by time bucket and dimensions."""
        return cast(
            "types.Metrics",
            self._call(
                "GET",
                "/api/v1/metrics/scores",
                params={
                    "measures": measures,
                    "dimensions": dimensions,
                    "interval": interval,
                    "trace_id": trace_id,
                    "span_id": span_id,
                    "session_id": session_id,
                    "name": name,
                    "source": source,
                    "environment": environment,
                    "from": from_,
                    "to": to,
                },
            ),
        )

    def list_models(self) -> types.Page[types.Model]:
        """The models the project can call by name, where each goes, and its price."""
        return cast("types.Page[types.Model]", self._call("GET", "/api/v1/models"))

    def list_price_rules(self) -> types.Page[types.PriceRule]:
        """The project's own prices, the latest in force first."""
        return cast("types.Page[types.PriceRule]", self._call("GET", "/api/v1/price-rules"))

    def create_price_rule(
        self,
        *,
        model: str,
        rates: types.RatesBody,
        batch: bool | NotGiven = NOT_GIVEN,
        effective_from: str | NotGiven | None = NOT_GIVEN,
        effective_to: str | NotGiven | None = NOT_GIVEN,
        note: str | NotGiven = NOT_GIVEN,
        provider: str | NotGiven = NOT_GIVEN,
    ) -> types.PriceRule:
        """Sets a price of the project's own, which goes before the shipped table while it is in force."""
        return cast(
            "types.PriceRule",
            self._call(
                "POST",
                "/api/v1/price-rules",
                body={
                    "model": model,
                    "rates": rates,
                    "batch": batch,
                    "effective_from": effective_from,
                    "effective_to": effective_to,
                    "note": note,
                    "provider": provider,
                },
            ),
        )

    def delete_price_rule(self, rule_id: str) -> None:
        """Deletes a price of the project's own. Calls already priced keep their cost."""
        self._call("DELETE", "/api/v1/price-rules/{}", (rule_id,))

    def list_prices(
        self,
        *,
        provider: str | NotGiven = NOT_GIVEN,
        model: str | NotGiven = NOT_GIVEN,
        limit: int | NotGiven = NOT_GIVEN,
        cursor: str | NotGiven = NOT_GIVEN,
    ) -> types.Page[types.Price]:
        """The shipped price table: lines whose provider and model contain the given texts, at today's rates."""
        return cast(
            "types.Page[types.Price]",
            self._call(
                "GET", "/api/v1/prices", params={"provider": provider, "model": model, "limit": limit, "cursor": cursor}
            ),
        )

    def list_projects(self) -> types.Page[types.Project]:
        """The projects you may see, by name."""
        return cast("types.Page[types.Project]", self._call("GET", "/api/v1/projects"))

    def create_project(self, *, name: str, slug: str | NotGiven | None = NOT_GIVEN) -> types.Project:
        """Makes a project with the environments development, staging and production."""
        return cast("types.Project", self._call("POST", "/api/v1/projects", body={"name": name, "slug": slug}))

    def get_project(self, project_id: str) -> types.Project:
        """One project, by id or slug."""
        return cast("types.Project", self._call("GET", "/api/v1/projects/{}", (project_id,)))

    def change_project(
        self,
        project_id: str,
        *,
        capture: types.CaptureMode | NotGiven | None = NOT_GIVEN,
        masks: list[str] | NotGiven | None = NOT_GIVEN,
        name: str | NotGiven | None = NOT_GIVEN,
        retention_days: int | NotGiven | None = NOT_GIVEN,
    ) -> types.Project:
        """Changes a project's name, what it captures, its masks or its retention. What is not given stays."""
        return cast(
            "types.Project",
            self._call(
                "PATCH",
                "/api/v1/projects/{}",
                (project_id,),
                body={"capture": capture, "masks": masks, "name": name, "retention_days": retention_days},
            ),
        )

    def delete_prompt(self, *, name: str, number: int | NotGiven | None = NOT_GIVEN) -> None:
        """Deletes one version, or all of a prompt. Prompts that include it keep what they were frozen with."""
        self._call("DELETE", "/api/v1/prompts", params={"name": name, "number": number})

    def list_prompts(
        self,
        *,
        search: str | NotGiven = NOT_GIVEN,
        tag: list[str] | NotGiven | None = NOT_GIVEN,
        label: str | NotGiven = NOT_GIVEN,
        limit: int | NotGiven = NOT_GIVEN,
        cursor: str | NotGiven = NOT_GIVEN,
    ) -> types.Page[types.PromptSummary]:
        """Prompts by name: those with `search` in their name or tags, with every `tag`, with this `label`."""
        return cast(
            "types.Page[types.PromptSummary]",
            self._call(
                "GET",
                "/api/v1/prompts",
                params={"search": search, "tag": tag, "label": label, "limit": limit, "cursor": cursor},
            ),
        )

    def create_prompt(
        self,
        *,
        name: str,
        template: str | list[dict[str, Any]],
        config: Any | NotGiven = NOT_GIVEN,
        engine: Literal["mustache", "jinja2"] | NotGiven = NOT_GIVEN,
        expected: int | NotGiven | None = NOT_GIVEN,
        labels: list[str] | NotGiven = NOT_GIVEN,
        message: str | NotGiven = NOT_GIVEN,
        model: str | NotGiven | None = NOT_GIVEN,
        parameters: dict[str, Any] | NotGiven = NOT_GIVEN,
        response_schema: dict[str, Any] | NotGiven | None = NOT_GIVEN,
        tags: list[str] | NotGiven | None = NOT_GIVEN,
        tools: list[Any] | NotGiven = NOT_GIVEN,
        variables: list[types.PromptVariable] | NotGiven = NOT_GIVEN,
    ) -> types.Prompt:
        """Freezes the next version of a prompt. `{{> name@label}}` in a text includes another text prompt, as it is now."""
        return cast(
            "types.Prompt",
            self._call(
                "POST",
                "/api/v1/prompts",
                body={
                    "name": name,
                    "template": template,
                    "config": config,
                    "engine": engine,
                    "expected": expected,
                    "labels": labels,
                    "message": message,
                    "model": model,
                    "parameters": parameters,
                    "response_schema": response_schema,
                    "tags": tags,
                    "tools": tools,
                    "variables": variables,
                },
            ),
        )

    def compare_prompts(self, *, before: str, after: str) -> list[types.PromptChange]:
        """The parts in which two versions differ: template, each parameter and variable, tools, schema."""
        return cast(
            "list[types.PromptChange]",
            self._call("GET", "/api/v1/prompts/diff", params={"before": before, "after": after}),
        )

    def fork_prompt(self, *, name: str, reference: str, message: str | NotGiven = NOT_GIVEN) -> types.Prompt:
        """Begins another prompt with a version of one."""
        return cast(
            "types.Prompt",
            self._call("POST", "/api/v1/prompts/fork", body={"name": name, "reference": reference, "message": message}),
        )

    def import_prompts(
        self,
        *,
        content: str,
        format: Literal["langfuse", "mlflow", "promptfoo", "dotprompt", "prompty"],
        name: str | NotGiven = NOT_GIVEN,
    ) -> list[types.Prompt]:
        """Freezes the versions that a file of Langfuse, MLflow, promptfoo, Dotprompt or Prompty holds: all of them, or none."""
        return cast(
            "list[types.Prompt]",
            self._call("POST", "/api/v1/prompts/import", body={"content": content, "format": format, "name": name}),
        )

    def move_prompt_label(
        self,
        *,
        label: str,
        name: str,
        number: int | None,
        expected: int | NotGiven | None = NOT_GIVEN,
        reason: str | NotGiven = NOT_GIVEN,
    ) -> dict[str, int]:
        """Points a label at a version, or nowhere; tells where all labels of the prompt point then. With `expected`, a label that somebody else moved first is a conflict (409)."""
        return cast(
            "dict[str, int]",
            self._call(
                "PUT",
                "/api/v1/prompts/labels",
                body={"label": label, "name": name, "number": number, "expected": expected, "reason": reason},
            ),
        )

    def list_prompt_label_moves(
        self, *, name: str, label: str | NotGiven = NOT_GIVEN, limit: int | NotGiven = NOT_GIVEN
    ) -> list[types.LabelMove]:
        """Who moved which label of a prompt, when, from where to where, and why; the newest first."""
        return cast(
            "list[types.LabelMove]",
            self._call("GET", "/api/v1/prompts/labels/history", params={"name": name, "label": label, "limit": limit}),
        )

    def list_protected_prompt_labels(self) -> types.ProtectedLabels:
        """The labels that only who has `prompts.protect` may move."""
        return cast("types.ProtectedLabels", self._call("GET", "/api/v1/prompts/labels/protected"))

    def protect_prompt_labels(self, *, labels: list[str]) -> types.ProtectedLabels:
        """Says which labels are protected, in all prompts of the project."""
        return cast(
            "types.ProtectedLabels", self._call("PUT", "/api/v1/prompts/labels/protected", body={"labels": labels})
        )

    def merge_prompt(self, *, reference: str, message: str | NotGiven = NOT_GIVEN) -> types.Prompt:
        """Brings a fork's changes into the newest version of the prompt it began with, as that one's next version. Parts that both changed differently are a conflict (409), and nothing is written."""
        return cast(
            "types.Prompt",
            self._call("POST", "/api/v1/prompts/merge", body={"reference": reference, "message": message}),
        )

    def render_prompt(
        self,
        *,
        body: types.PromptBody | NotGiven | None = NOT_GIVEN,
        placeholders: dict[str, list[dict[str, Any]]] | NotGiven = NOT_GIVEN,
        reference: str | NotGiven | None = NOT_GIVEN,
        variables: dict[str, Any] | NotGiven = NOT_GIVEN,
    ) -> types.Rendered:
        """Fills a prompt: its variables are checked, its placeholders take lists of messages. Nothing is kept."""
        return cast(
            "types.Rendered",
            self._call(
                "POST",
                "/api/v1/prompts/render",
                body={"body": body, "placeholders": placeholders, "reference": reference, "variables": variables},
            ),
        )

    def resolve_prompt(self, *, reference: str) -> types.Prompt:
        """The version that `name`, `name@label`, `name@12` or `name@sha256:…` means now. A name alone means its label `production`; a label that is not there is a 404. Answers 304 to the ETag of the same content."""
        return cast("types.Prompt", self._call("GET", "/api/v1/prompts/resolve", params={"reference": reference}))

    def tag_prompt(self, *, name: str, tags: list[str]) -> types.TagsIn:
        """Changes the tags of a prompt, which are those of all its versions."""
        return cast("types.TagsIn", self._call("PUT", "/api/v1/prompts/tags", body={"name": name, "tags": tags}))

    def list_prompt_versions(
        self, *, name: str, limit: int | NotGiven = NOT_GIVEN, cursor: str | NotGiven = NOT_GIVEN
    ) -> types.Page[types.PromptVersion]:
        """Versions of a prompt, the newest first."""
        return cast(
            "types.Page[types.PromptVersion]",
            self._call("GET", "/api/v1/prompts/versions", params={"name": name, "limit": limit, "cursor": cursor}),
        )

    def list_providers(self) -> types.Page[types.Provider]:
        """The kinds of provider there are, and the fields their connections have."""
        return cast("types.Page[types.Provider]", self._call("GET", "/api/v1/providers"))

    def list_routes(self) -> types.Page[types.Route]:
        """The project's routes, by pattern."""
        return cast("types.Page[types.Route]", self._call("GET", "/api/v1/routes"))

    def create_route(
        self,
        *,
        pattern: str,
        targets: list[types.TargetBody],
        retries: int | NotGiven | None = NOT_GIVEN,
        strategy: Literal["fallback", "weighted"] | NotGiven | None = NOT_GIVEN,
        timeouts: types.TimeoutsBody | NotGiven | None = NOT_GIVEN,
    ) -> types.Route:
        """Makes a route."""
        return cast(
            "types.Route",
            self._call(
                "POST",
                "/api/v1/routes",
                body={
                    "pattern": pattern,
                    "targets": targets,
                    "retries": retries,
                    "strategy": strategy,
                    "timeouts": timeouts,
                },
            ),
        )

    def delete_route(self, route_id: str) -> None:
        """Deletes a route."""
        self._call("DELETE", "/api/v1/routes/{}", (route_id,))

    def update_route(
        self,
        route_id: str,
        *,
        pattern: str | NotGiven | None = NOT_GIVEN,
        retries: int | NotGiven | None = NOT_GIVEN,
        strategy: Literal["fallback", "weighted"] | NotGiven | None = NOT_GIVEN,
        targets: list[types.TargetBody] | NotGiven | None = NOT_GIVEN,
        timeouts: types.TimeoutsBody | NotGiven | None = NOT_GIVEN,
    ) -> types.Route:
        """Changes a route; the gateway follows it from its next call on."""
        return cast(
            "types.Route",
            self._call(
                "PATCH",
                "/api/v1/routes/{}",
                (route_id,),
                body={
                    "pattern": pattern,
                    "retries": retries,
                    "strategy": strategy,
                    "targets": targets,
                    "timeouts": timeouts,
                },
            ),
        )

    def list_score_configs(self) -> types.Page[types.ScoreConfig]:
        """What scores may be, the newest first."""
        return cast("types.Page[types.ScoreConfig]", self._call("GET", "/api/v1/score-configs"))

    def create_score_config(
        self,
        *,
        data_type: Literal["NUMERIC", "BOOLEAN", "CATEGORICAL", "TEXT"],
        name: str,
        categories: list[types.Category] | NotGiven = NOT_GIVEN,
        description: str | NotGiven = NOT_GIVEN,
        max_value: float | NotGiven | None = NOT_GIVEN,
        min_value: float | NotGiven | None = NOT_GIVEN,
    ) -> types.ScoreConfig:
        """Says what scores of a name may be."""
        return cast(
            "types.ScoreConfig",
            self._call(
                "POST",
                "/api/v1/score-configs",
                body={
                    "data_type": data_type,
                    "name": name,
                    "categories": categories,
                    "description": description,
                    "max_value": max_value,
                    "min_value": min_value,
                },
            ),
        )

    def change_score_config(
        self,
        config_id: str,
        *,
        categories: list[types.Category] | NotGiven | None = NOT_GIVEN,
        description: str | NotGiven | None = NOT_GIVEN,
        is_archived: bool | NotGiven | None = NOT_GIVEN,
        max_value: float | NotGiven | None = NOT_GIVEN,
        min_value: float | NotGiven | None = NOT_GIVEN,
        name: str | NotGiven | None = NOT_GIVEN,
    ) -> types.ScoreConfig:
        """Changes what is given of a config."""
        return cast(
            "types.ScoreConfig",
            self._call(
                "PATCH",
                "/api/v1/score-configs/{}",
                (config_id,),
                body={
                    "categories": categories,
                    "description": description,
                    "is_archived": is_archived,
                    "max_value": max_value,
                    "min_value": min_value,
                    "name": name,
                },
            ),
        )

    def list_scores(
        self,
        *,
        limit: int | NotGiven = NOT_GIVEN,
        cursor: str | NotGiven = NOT_GIVEN,
        trace_id: str | NotGiven = NOT_GIVEN,
        span_id: str | NotGiven = NOT_GIVEN,
        session_id: str | NotGiven = NOT_GIVEN,
        name: str | NotGiven = NOT_GIVEN,
        source: str | NotGiven = NOT_GIVEN,
        environment: str | NotGiven = NOT_GIVEN,
        from_: str | NotGiven = NOT_GIVEN,
        to: str | NotGiven = NOT_GIVEN,
    ) -> types.Page[types.Score]:
        """Scores, the newest first."""
        return cast(
            "types.Page[types.Score]",
            self._call(
                "GET",
                "/api/v1/scores",
                params={
                    "limit": limit,
                    "cursor": cursor,
                    "trace_id": trace_id,
                    "span_id": span_id,
                    "session_id": session_id,
                    "name": name,
                    "source": source,
                    "environment": environment,
                    "from": from_,
                    "to": to,
                },
            ),
        )

    def create_score(
        self,
        *,
        name: str,
        value: bool | float | str,
        comment: str | NotGiven = NOT_GIVEN,
        config_id: str | NotGiven = NOT_GIVEN,
        data_type: Literal["NUMERIC", "BOOLEAN", "CATEGORICAL", "TEXT", "CORRECTION"] | NotGiven | None = NOT_GIVEN,
        environment: str | NotGiven = NOT_GIVEN,
        id: str | NotGiven = NOT_GIVEN,
        metadata: Any | NotGiven = NOT_GIVEN,
        session_id: str | NotGiven = NOT_GIVEN,
        span_id: str | NotGiven = NOT_GIVEN,
        trace_id: str | NotGiven = NOT_GIVEN,
    ) -> types.Score:
        """Scores a trace, a span or a session, which may come later than its score."""
        return cast(
            "types.Score",
            self._call(
                "POST",
                "/api/v1/scores",
                body={
                    "name": name,
                    "value": value,
                    "comment": comment,
                    "config_id": config_id,
                    "data_type": data_type,
                    "environment": environment,
                    "id": id,
                    "metadata": metadata,
                    "session_id": session_id,
                    "span_id": span_id,
                    "trace_id": trace_id,
                },
            ),
        )

    def delete_score(self, score_id: str) -> None:
        """Takes a score out."""
        self._call("DELETE", "/api/v1/scores/{}", (score_id,))

    def read_server(self) -> types.Server:
        """The server's version, the state of its stores and its worker, and what became of all records."""
        return cast("types.Server", self._call("GET", "/api/v1/server"))

    def log_out(self) -> None:
        """Ends the session and deletes its cookie."""
        self._call("DELETE", "/api/v1/session")

    def read_session(self) -> types.Session:
        """Who is logged in, what they may do in the chosen project, and the CSRF token. 401 when nobody is."""
        return cast("types.Session", self._call("GET", "/api/v1/session"))

    def log_in(self, *, email: str, password: str) -> types.Session:
        """Logs in to the console and sets the session cookie. Repeated failures are answered 429."""
        return cast("types.Session", self._call("POST", "/api/v1/session", body={"email": email, "password": password}))

    def change_password(self, *, new_password: str, old_password: str) -> None:
        """Changes your own password and ends your other sessions."""
        self._call(
            "POST", "/api/v1/session/password", body={"new_password": new_password, "old_password": old_password}
        )

    def list_sessions(
        self,
        *,
        limit: int | NotGiven = NOT_GIVEN,
        from_: str | NotGiven = NOT_GIVEN,
        to: str | NotGiven = NOT_GIVEN,
        filter: str | NotGiven = NOT_GIVEN,
        search: str | NotGiven = NOT_GIVEN,
        environment: str | NotGiven = NOT_GIVEN,
    ) -> types.Page[types.Group]:
        """Sessions, those seen last first."""
        return cast(
            "types.Page[types.Group]",
            self._call(
                "GET",
                "/api/v1/sessions",
                params={
                    "limit": limit,
                    "from": from_,
                    "to": to,
                    "filter": filter,
                    "search": search,
                    "environment": environment,
                },
            ),
        )

    def list_spans(
        self,
        *,
        limit: int | NotGiven = NOT_GIVEN,
        cursor: str | NotGiven = NOT_GIVEN,
        from_: str | NotGiven = NOT_GIVEN,
        to: str | NotGiven = NOT_GIVEN,
        filter: str | NotGiven = NOT_GIVEN,
        search: str | NotGiven = NOT_GIVEN,
        environment: str | NotGiven = NOT_GIVEN,
    ) -> types.Page[types.SpanSummary]:
        """Matching spans, newest first."""
        return cast(
            "types.Page[types.SpanSummary]",
            self._call(
                "GET",
                "/api/v1/spans",
                params={
                    "limit": limit,
                    "cursor": cursor,
                    "from": from_,
                    "to": to,
                    "filter": filter,
                    "search": search,
                    "environment": environment,
                },
            ),
        )

    def read_span(self, span_id: str, *, trace_id: str | NotGiven = NOT_GIVEN) -> types.Span:
        """A span, whole."""
        return cast("types.Span", self._call("GET", "/api/v1/spans/{}", (span_id,), params={"trace_id": trace_id}))

    def list_traces(
        self,
        *,
        limit: int | NotGiven = NOT_GIVEN,
        cursor: str | NotGiven = NOT_GIVEN,
        with_scores: bool | NotGiven = NOT_GIVEN,
        from_: str | NotGiven = NOT_GIVEN,
        to: str | NotGiven = NOT_GIVEN,
        filter: str | NotGiven = NOT_GIVEN,
        search: str | NotGiven = NOT_GIVEN,
        environment: str | NotGiven = NOT_GIVEN,
    ) -> types.Page[types.TraceSummary]:
        """Traces that have a matching span, newest first."""
        return cast(
            "types.Page[types.TraceSummary]",
            self._call(
                "GET",
                "/api/v1/traces",
                params={
                    "limit": limit,
                    "cursor": cursor,
                    "with_scores": with_scores,
                    "from": from_,
                    "to": to,
                    "filter": filter,
                    "search": search,
                    "environment": environment,
                },
            ),
        )

    def read_trace(self, trace_id: str) -> types.Trace:
        """A trace with its spans in order of time (short forms; read a span for the rest)."""
        return cast("types.Trace", self._call("GET", "/api/v1/traces/{}", (trace_id,)))

    def read_critical_path(self, trace_id: str) -> types.CriticalPath:
        """Which steps a trace waited for."""
        return cast("types.CriticalPath", self._call("GET", "/api/v1/traces/{}/critical-path", (trace_id,)))

    def diff_traces(self, trace_id: str, other_id: str) -> types.TraceDiff:
        """What differs between two traces."""
        return cast(
            "types.TraceDiff",
            self._call(
                "GET",
                "/api/v1/traces/{}/diff/{}",
                (
                    trace_id,
                    other_id,
                ),
            ),
        )

    def list_users(self) -> types.Page[types.User]:
        """Everybody who can log in, by email."""
        return cast("types.Page[types.User]", self._call("GET", "/api/v1/users"))

    def create_user(
        self,
        *,
        email: str,
        password: str,
        memberships: dict[str, types.Role] | NotGiven = NOT_GIVEN,
        name: str | NotGiven = NOT_GIVEN,
        role: types.Role | NotGiven = NOT_GIVEN,
    ) -> types.User:
        """Adds a user, whose rank is at most your own."""
        return cast(
            "types.User",
            self._call(
                "POST",
                "/api/v1/users",
                body={"email": email, "password": password, "memberships": memberships, "name": name, "role": role},
            ),
        )

    def delete_user(self, user_id: str) -> None:
        """Deletes a user with their sessions. What they did stays in the events."""
        self._call("DELETE", "/api/v1/users/{}", (user_id,))

    def change_user(
        self,
        user_id: str,
        *,
        disabled: bool | NotGiven | None = NOT_GIVEN,
        memberships: dict[str, types.Role] | NotGiven | None = NOT_GIVEN,
        name: str | NotGiven | None = NOT_GIVEN,
        password: str | NotGiven | None = NOT_GIVEN,
        role: types.Role | NotGiven | None = NOT_GIVEN,
    ) -> types.User:
        """Changes a user. A new password or a disabling ends their sessions. The last owner stays one."""
        return cast(
            "types.User",
            self._call(
                "PATCH",
                "/api/v1/users/{}",
                (user_id,),
                body={
                    "disabled": disabled,
                    "memberships": memberships,
                    "name": name,
                    "password": password,
                    "role": role,
                },
            ),
        )

    def list_views(
        self, *, page: Literal["traces", "sessions", "end-users", "metrics", "failures"] | NotGiven | None = NOT_GIVEN
    ) -> types.Page[types.View]:
        """The caller's own views and those that others share, by name."""
        return cast("types.Page[types.View]", self._call("GET", "/api/v1/views", params={"page": page}))

    def create_view(
        self,
        *,
        name: str,
        page: Literal["traces", "sessions", "end-users", "metrics", "failures"],
        query: str | NotGiven = NOT_GIVEN,
        shared: bool | NotGiven = NOT_GIVEN,
    ) -> types.View:
        """Saves a view."""
        return cast(
            "types.View",
            self._call("POST", "/api/v1/views", body={"name": name, "page": page, "query": query, "shared": shared}),
        )

    def delete_view(self, view_id: str) -> None:
        """Forgets a view of one's own."""
        self._call("DELETE", "/api/v1/views/{}", (view_id,))

    def change_view(
        self,
        view_id: str,
        *,
        name: str | NotGiven | None = NOT_GIVEN,
        query: str | NotGiven | None = NOT_GIVEN,
        shared: bool | NotGiven | None = NOT_GIVEN,
    ) -> types.View:
        """Changes a view of one's own."""
        return cast(
            "types.View",
            self._call("PATCH", "/api/v1/views/{}", (view_id,), body={"name": name, "query": query, "shared": shared}),
        )
