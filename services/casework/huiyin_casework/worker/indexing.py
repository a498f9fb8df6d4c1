"""Keeping the index of past answers up to date beside the calls that search it."""

from __future__ import annotations

import asyncio

import structlog

from huiyin_casework.pastanswers import AnswerSearch
from huiyin_casework.store import CaseworkStore

log = structlog.get_logger(__name__)

_LOOK_SECONDS = 5.0


class Indexing:
    """After a start it indexes what is there in small steps, the newest first; then it looks every five seconds."""

    def __init__(self, store: CaseworkStore, answers: AnswerSearch) -> None:
        self._store = store
        self._answers = answers

    async def run(self) -> None:
        """For ever."""
        while True:
            steps = 0
            while await self._store.read(self._answers.follow):
                steps += 1
            if steps > 1:
                log.info("answers.indexed", steps=steps)
            await asyncio.sleep(_LOOK_SECONDS)
