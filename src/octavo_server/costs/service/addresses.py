"""Which upstream addresses a connection may have."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from octavo_server.core.errors import Invalid
from octavo_server.costs.model import is_link_local, is_public

Resolve = Callable[[str], Sequence[str]]
"""The IP addresses of a host name; raises OSError when it has none."""

_LONGEST = 2000
_HOST = re.compile(r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+(%[A-Za-z0-9._-]+)?\]")


def resolve_host(host: str) -> Sequence[str]:
    """Asks the system's resolver; blocks."""
    return [str(info[4][0]) for info in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]


class Addresses:
    """Refuses URLs that would make this server call places its users may not reach.

    A name is resolved when a connection is saved and again when it is tested. It may point elsewhere later, so
    whoever connects has the last word (`costs.model.is_public`)."""

    def __init__(self, *, private_allowed: bool, resolve: Resolve) -> None:
        self._private_allowed = private_allowed
        self._resolve = resolve

    def check(self, base_url: str) -> str:
        """The URL without a trailing slash. Raises Invalid (`base_url`) when it may not be called."""
        url = base_url.strip()
        if len(url) > _LONGEST or not url.isascii() or any(ord(character) <= 32 for character in url):
            raise _refused("The URL is too long, or has blanks or characters beyond ASCII in it.")
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            raise _refused(f"{url[:200]!r} is no URL.") from None
        if parts.username is not None or parts.password is not None:
            raise _refused("The URL holds credentials; put the key into `secret`.")
        if parts.scheme not in ("http", "https") or not host or port == 0:
            raise _refused(f"{url[:200]!r} is no http(s) URL; expected something like https://api.example.com/v1.")
        if not _HOST.fullmatch(parts.netloc.rpartition(":")[0] if port is not None else parts.netloc.rstrip(":")):
            raise _refused(f"{host[:200]!r} is no host name.")
        if parts.query or parts.fragment:
            raise _refused("The URL has a query or a fragment; put such values into the connection's options.")
        self._check_host(host)
        return url.rstrip("/")

    def check_host_of(self, url: str) -> None:
        """Raises Invalid when the URL, which may be any, leads where this server may not call."""
        try:
            host = urlsplit(url).hostname or ""
        except ValueError:
            host = ""
        if not host:
            raise Invalid(f"{url[:200]!r} is no URL.", param="url")
        self._check_host(host)

    def _check_host(self, host: str) -> None:
        literal = _literal(host)
        if literal is not None and is_link_local(literal):
            raise _refused(f"{host!r} is a link-local address, where clouds keep credentials and nobody keeps models.")
        if self._private_allowed:
            return
        if literal is not None:
            addresses: Sequence[str] = [literal]
        else:
            try:
                addresses = self._resolve(host)
            except OSError:
                raise _refused(f"The host {host!r} cannot be resolved.") from None
        if not addresses or not all(is_public(address) for address in addresses):
            raise _refused(
                f"{host!r} is not on the public internet, and this server may not call private addresses "
                "(setting OCTAVO_UPSTREAM_PRIVATE)."
            )


def _literal(host: str) -> str | None:
    """The address that a host is, however it is written: resolvers take 127.1, 0x7f000001 and 2130706433 too."""
    try:
        return str(ipaddress.ip_address(host.partition("%")[0]))
    except ValueError:
        pass
    if re.fullmatch(r"[0-9a-fA-FxX.]*[0-9][0-9a-fA-FxX.]*", host):
        try:
            return socket.inet_ntoa(socket.inet_aton(host))
        except OSError:
            return None
    return None


def _refused(message: str) -> Invalid:
    return Invalid(message, param="base_url")
