"""Sends what is due, and records every attempt. One process a store sends."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog
from huiyin_chassis import clock
from huiyin_chassis.backoff import Backoff
from huiyin_chassis.errors import DomainError
from prometheus_client import Counter

from huiyin_notifier.model.happenings import GRADES
from huiyin_notifier.model.rendering import render
from huiyin_notifier.store import SINK, Delivery, NotifierStore, Outcome
from huiyin_notifier.worker.channels import Webhook, write_log

log = structlog.get_logger(__name__)

MESSAGES = Counter("huiyin_messages_total", "Attempts to send a message.", ("channel", "outcome"))

_AT_ONCE: Final = 32
"""Messages under way at most."""
_LONGEST_PAUSE: Final = 600.0
_IDLE: Final = 60.0


class Sender:
    """Makes messages of the groups that are due and sends them, retrying with a pause that doubles.

    A message may reach the world twice when this process is killed between sending and recording; its id, the
    same in every attempt, lets a receiver see that.
    """

    def __init__(self, store: NotifierStore, webhook: Webhook, *, attempts: int, first_pause: float) -> None:
        self._store = store
        self._webhook = webhook
        self._attempts = attempts
        self._backoff = Backoff(first_pause, _LONGEST_PAUSE)
        self._under_way: set[str] = set()

    async def run(self) -> None:
        """Sends, woken by commits; returns only when cancelled."""
        self._under_way.clear()
        async with asyncio.TaskGroup() as sending:
            while True:
                commit = self._store.changed.current()
                deliveries = await self._due()
                for delivery in deliveries:
                    self._under_way.add(delivery.id)
                    sending.create_task(self._deliver(delivery))
                if not deliveries:
                    await self._store.changed.wait(commit, await self._rest())

    async def _due(self) -> list[Delivery]:
        room = _AT_ONCE - len(self._under_way)
        if room <= 0 or await self._rest() > 0:
            return []
        await self._store.write(self._store.form_messages)
        return await self._store.read(
            lambda connection: self._store.due_messages(connection, clock.now(), self._under_way, room)
        )

    async def _rest(self) -> float:
        """Seconds until something is due."""
        if len(self._under_way) >= _AT_ONCE:
            return _IDLE
        soonest = await self._store.read(lambda connection: self._store.next_time(connection, self._under_way))
        if soonest is None:
            return _IDLE
        return min(_IDLE, (soonest - clock.micros(clock.now())) / 1e6)

    async def _deliver(self, delivery: Delivery) -> None:
        try:
            outcome = await self._attempt(delivery)
            await self._store.write(lambda tx: self._store.record(tx, outcome))
        except DomainError as error:
            # It stays due, and leaves once more when the store answers again.
            log.warning("notification.unrecorded", message=delivery.id, reason=error.reason)
        finally:
            self._under_way.discard(delivery.id)
            self._store.changed.beat()  # there is room for another

    async def _attempt(self, delivery: Delivery) -> Outcome:
        if delivery.drill:
            return Outcome(delivery.id, SINK)
        routes = await self._store.read(self._store.routes)
        receiver = routes.receivers.get(delivery.receiver)
        if receiver is None:
            return self._given_up(delivery, "", "the routes policy has no such receiver any more")
        if receiver.channel == "log":
            write_log(delivery)
            return self._accepted(delivery, receiver.channel)
        grade = max((item.grade for item in delivery.items), key=("", *GRADES).index)
        problem = await self._webhook.send(receiver, delivery.id, render(delivery.items), grade)
        if not problem:
            return self._accepted(delivery, receiver.channel)
        if delivery.attempts + 1 >= self._attempts:
            return self._given_up(delivery, receiver.channel, problem)
        MESSAGES.labels(receiver.channel, "refused").inc()
        pause = self._backoff.delay(delivery.attempts + 1)
        log.info("notification.refused", message=delivery.id, receiver=receiver.id, pause=round(pause, 1))
        return Outcome(delivery.id, receiver.channel, problem, pause)

    def _accepted(self, delivery: Delivery, channel: str) -> Outcome:
        MESSAGES.labels(channel, "sent").inc()
        return Outcome(delivery.id, channel)

    def _given_up(self, delivery: Delivery, channel: str, problem: str) -> Outcome:
        MESSAGES.labels(channel, "failed").inc()
        log.warning("notification.failed", message=delivery.id, receiver=delivery.receiver, problem=problem)
        return Outcome(delivery.id, channel, problem)
