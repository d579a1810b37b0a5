"""What clients speak, by endpoint."""

from __future__ import annotations

from collections.abc import Mapping

from octavo_server.gateway.providers.base import CHAT, COMPLETIONS, MESSAGES, RESPONSES
from octavo_server.gateway.providers.chat import CHAT_FRONT
from octavo_server.gateway.providers.front_completions import COMPLETIONS_FRONT
from octavo_server.gateway.providers.front_messages import MESSAGES_FRONT
from octavo_server.gateway.providers.front_responses import RESPONSES_FRONT
from octavo_server.gateway.providers.hub import Front

FRONTS: Mapping[str, Front] = {
    CHAT: CHAT_FRONT,
    MESSAGES: MESSAGES_FRONT,
    RESPONSES: RESPONSES_FRONT,
    COMPLETIONS: COMPLETIONS_FRONT,
}
