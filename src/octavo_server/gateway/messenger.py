"""What this server sends of its own accord: webhooks, over the gateway's client and its rules of where it may call, and
e-mail."""

from __future__ import annotations

import asyncio
import smtplib
import ssl
from collections.abc import Mapping, Sequence
from email.message import EmailMessage
from urllib.parse import unquote, urlsplit

from octavo_server.core.errors import UpstreamError
from octavo_server.costs.model import Timeouts
from octavo_server.gateway.providers.base import UpstreamRequest
from octavo_server.gateway.upstream import Upstream
from octavo_server.traces.model import Told

_TIMEOUTS = Timeouts(connect_s=5.0, first_byte_s=15.0, total_s=15.0)
_SMTP_S = 15.0
_SHOWN = 200


class Messenger:
    """Sends webhooks and e-mails; never raises for what a receiver does."""

    def __init__(self, upstream: Upstream, *, smtp_url: str, smtp_from: str) -> None:
        self._upstream = upstream
        self._smtp_url = smtp_url
        self._smtp_from = smtp_from

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Told:
        """A webhook. Redirects are not followed: what they lead to was not looked at."""
        try:
            reply = await self._upstream.send(
                UpstreamRequest(method="POST", url=url, headers=headers, body=body), _TIMEOUTS
            )
        except UpstreamError as error:
            return Told(False, 0, error.message.replace("provider", "receiver"))
        if 200 <= reply.status < 300:
            return Told(True, reply.status, "delivered")
        said = reply.body[:_SHOWN].decode("utf-8", "replace")
        return Told(False, reply.status, f"the receiver answered {reply.status}: {said}")

    async def mail(self, addresses: Sequence[str], subject: str, text: str) -> Told:
        """An e-mail through the server of OCTAVO_SMTP_URL."""
        if not self._smtp_url:
            return Told(False, 0, "no mail server is set: OCTAVO_SMTP_URL, such as smtp://user:password@host:587")
        try:
            await asyncio.to_thread(self._send, addresses, subject, text)
        except (OSError, smtplib.SMTPException) as error:
            return Told(False, 0, f"the mail server refused: {type(error).__name__}: {str(error)[:_SHOWN]}")
        return Told(True, 250, "delivered")

    def _send(self, addresses: Sequence[str], subject: str, text: str) -> None:
        parts = urlsplit(self._smtp_url)
        message = EmailMessage()
        message["From"] = self._smtp_from
        message["To"] = ", ".join(addresses)
        message["Subject"] = " ".join(subject.split())
        message.set_content(text)
        host, port = parts.hostname or "localhost", parts.port
        if parts.scheme == "smtps":
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                host, port or 465, timeout=_SMTP_S, context=ssl.create_default_context()
            )
        else:
            server = smtplib.SMTP(host, port or 25, timeout=_SMTP_S)
        with server:
            if parts.scheme == "smtp" and server.has_extn("starttls"):
                server.starttls(context=ssl.create_default_context())
            if parts.username:
                server.login(unquote(parts.username), unquote(parts.password or ""))
            server.send_message(message)
