"""In which order changes of tables get into their changelogs, which are topics of their own and know no common order.

A crash may come between any two changes. So what a message brought is there before the state says that it was seen, that is
there before the message is acknowledged, and nothing is deleted before a state that needs it is gone.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Send = Callable[[], Any]  # begins to send a change, gives a future that is done when the changelog has it


@dataclass(slots=True)
class Message:
    """A message's changes that were not begun to be sent, and `sent`: futures of those that were. `event`: None of time that
    passed without one."""

    content: list[Send] = field(default_factory=list)
    states: list[Send] = field(default_factory=list)
    deletions: list[Send] = field(default_factory=list)
    event: Any = None
    sent: list[Any] = field(default_factory=list)


class Changelogs:
    """Messages on their way. At most `outstanding` wait for their content, as many for their states."""

    def __init__(self, outstanding: int) -> None:
        self._outstanding = outstanding
        self._with_content: deque[Message] = deque()
        self._with_states: deque[Message] = deque()
        self.current = Message()

    def send(self, event: Any) -> None:
        """What has changed since the last call, by this event."""
        message, self.current = self.current, Message()
        message.event, message.sent = event, [send() for send in message.content]
        self._with_content.append(message)

    async def acknowledge(self, *, everything: bool = False) -> None:
        """The messages, in their order, whose changes the changelogs have; waits while too many are outstanding."""
        most = 0 if everything else self._outstanding
        while message := await _first(self._with_content, most):
            message.sent = [send() for send in message.states]
            self._with_states.append(message)
        while message := await _first(self._with_states, most):
            if message.event is not None:
                message.event.ack()
            for send in message.deletions:
                send()

    def drop(self) -> None:
        """Messages that were not acknowledged: whoever reads them again makes their changes again."""
        self._with_content.clear()
        self._with_states.clear()


async def _first(messages: deque[Message], most: int) -> Message | None:
    """The first, if what was sent of it has arrived; waits for that while there are more than so many."""
    if not messages or (len(messages) <= most and not all(change.done() for change in messages[0].sent)):
        return None
    for change in messages[0].sent:
        await change
    return messages.popleft()
