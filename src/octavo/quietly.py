"""Recording never raises into the application: what goes wrong in it is told once, on the logger `octavo`."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

log = logging.getLogger("octavo")

_said: set[object] = set()


def say_once(what: object, message: str, *values: object, level: int = logging.WARNING) -> None:
    """Logs a message the first time that `what` happens in this process."""
    if what not in _said:
        _said.add(what)
        log.log(level, message, *values)


def quietly(function: Callable[P, T]) -> Callable[P, T | None]:
    """The function, giving None where it would raise."""

    @wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> T | None:
        try:
            return function(*args, **kwargs)
        except Exception as error:
            kind = type(error).__name__
            say_once((function, kind), "Octavo could not record this (%s: %s)", function.__qualname__, kind, level=30)
            log.debug("why", exc_info=True)
            return None

    return called
