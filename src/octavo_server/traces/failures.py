"""The taxonomy of failures: what an error was, told from what a client or a server said of it. Pure data and one
function, so that the same failure has the same class whoever reports it."""

from __future__ import annotations

import re

CLASSES = (
    "rate_limit",
    "timeout",
    "auth",
    "invalid_request",
    "content_filter",
    "upstream",
    "cancelled",
    "budget",
    "guardrail",
    "internal",
)

# The first that is found wins. Looked for in the error's type, then in its message.
_TYPES = re.compile(
    r"""(?P<budget>insufficient_?quota|budget_?exceeded|quotaexceeded)
    |(?P<content_filter>content_?filter|contentpolicy|responsibleai)
    |(?P<guardrail>guardrail|blocked)
    |(?P<rate_limit>rate_?limit|too_?many_?requests|throttl|resource_?exhausted|^429$)
    |(?P<timeout>time_?d?_?out|deadline|^408$|^504$)
    |(?P<auth>authenti|unauthori[sz]ed|permission|forbidden|access_?denied|invalid_api_key|^401$|^403$)
    |(?P<cancelled>cancel|generatorexit|keyboardinterrupt|^499$)
    |(?P<invalid_request>bad_?request|invalid|not_?found|unprocessable|validation|too_?large|context_?length|^4\d\d$)
    |(?P<upstream>internal_?server|unavailable|overloaded|api_?connection|connect|bad_?gateway|api_?error|upstream|^5\d\d$)
    """,
    re.IGNORECASE | re.VERBOSE,
)
_MESSAGES = re.compile(
    r"""(?P<budget>insufficient_quota|exceeded\ your\ current\ quota)
    |(?P<content_filter>content[ _]filter|content\ management\ policy)
    |(?P<guardrail>blocked\ by\ (?:a\ )?guardrail)
    |(?P<rate_limit>rate[ _]?limit|too\ many\ requests|(?:error\ code|status(?:\ code)?):?\ 429)
    |(?P<timeout>timed?[ -]?out|deadline\ exceeded)
    |(?P<auth>(?:incorrect|invalid)\ api[ _]key|unauthorized|(?:error\ code|status(?:\ code)?):?\ 40[13])
    |(?P<invalid_request>(?:error\ code|status(?:\ code)?):?\ 4\d\d)
    |(?P<upstream>(?:error\ code|status(?:\ code)?):?\ 5\d\d|connection\ (?:error|refused|reset)|overloaded)
    """,
    re.IGNORECASE | re.VERBOSE,
)
_READ_CHARS = 500


def error_class(error_type: str, message: str = "") -> str:
    """The class of a failure by its type (`openai.RateLimitError`, `429`, an exception's name) and its message."""
    found = _TYPES.search(error_type[:_READ_CHARS].rpartition(".")[2]) or _MESSAGES.search(message[:_READ_CHARS])
    return (found.lastgroup or "internal") if found else "internal"
