"""Answers of the past: what is kept of them, and the index in memory by which similar ones are found.

Of a published reply of ours only its name is kept here; its text and its inquiries' texts are read where they belong,
so what is destroyed there is gone here. A row that changes gets a new number, by which the index of each process learns
of it: it looks at the table before it searches.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from huiyin_chassis.bulk import chunks, insert_many
from huiyin_chassis.store import Tx
from sqlalchemy import Connection, Row, delete, func, select

from huiyin_casework.store import ANSWERS, CASES, INQUIRIES, REPLIES, Fields

if TYPE_CHECKING:
    from huiyin_casework.model.similar import AnswerIndex, Match

_AT_ONCE: Final = 200
"""Answers that are indexed in one step: about a tenth of a second."""
_QUESTIONS: Final = 20
"""Inquiries of a case whose texts stand for its question."""
_COLUMNS: Final = [column for column in ANSWERS.c if column.name != "number"]


@dataclass(frozen=True, slots=True)
class PastAnswer:
    """An answer with its texts."""

    row: Row[Any]
    subject: str
    question: str
    text: str


def remember(tx: Tx, reply: Fields) -> None:
    """A reply of ours that was published."""
    empty = dict.fromkeys(("source", "external_id", "subject", "question", "text", "unit"), "")
    row = {
        **empty,
        "id": reply["id"],
        "reply_id": reply["id"],
        "case_id": reply["case_id"],
        "publish_time": reply["publish_time"],
        "create_time": tx.now_us,
    }
    insert_many(tx.connection, ANSWERS, [row])


def renew(tx: Tx, case_id: str) -> None:
    """The answers of a case, whose texts have changed, are indexed anew."""
    replace(tx, [dict(row._mapping) for row in tx.execute(select(*_COLUMNS).where(ANSWERS.c.case_id == case_id))])


def replace(tx: Tx, rows: Sequence[Fields]) -> None:
    """Writes rows in the place of those with their ids, each with a new number."""
    for chunk in chunks(row["id"] for row in rows):
        tx.execute(delete(ANSWERS).where(ANSWERS.c.id.in_(chunk)))
    insert_many(tx.connection, ANSWERS, rows)


def read(connection: Connection, rows: Sequence[Row[Any]]) -> list[PastAnswer]:
    """Rows of the table with their texts."""
    replies = [row.reply_id for row in rows if row.reply_id]
    cases = {row.case_id for row in rows if row.reply_id}
    texts = dict(_pairs(connection, select(REPLIES.c.id, REPLIES.c.text).where(REPLIES.c.id.in_(replies)), replies))
    titles = dict(_pairs(connection, select(CASES.c.id, CASES.c.title).where(CASES.c.id.in_(cases)), cases))
    asked: dict[str, list[str]] = {}
    inquiries = select(INQUIRIES.c.case_id, INQUIRIES.c.subject, INQUIRIES.c.text).where(INQUIRIES.c.case_id.in_(cases))
    for case_id, subject, text in connection.execute(inquiries.order_by(INQUIRIES.c.id)) if cases else ():
        told = asked.setdefault(case_id, [])
        if len(told) < _QUESTIONS and text:
            told.append(f"{subject}\n{text}" if subject else text)
    return [
        PastAnswer(
            row, titles.get(row.case_id, ""), "\n\n".join(asked.get(row.case_id, ())), texts.get(row.reply_id, "")
        )
        if row.reply_id
        else PastAnswer(row, row.subject, row.question, row.text)
        for row in rows
    ]


def _pairs(connection: Connection, query: Any, wanted: Iterable[str]) -> Iterable[tuple[str, str]]:
    return ((key, value) for key, value in connection.execute(query)) if wanted else ()


class AnswerSearch:
    """The index of one process, which follows the table."""

    def __init__(self) -> None:
        self._made: AnswerIndex | None = None
        self._lock = threading.Lock()

    def follow(self, connection: Connection) -> bool:
        """One step of bringing the index up to date; False when it was."""
        with self._lock:
            return self._follow(connection)

    def search(self, connection: Connection, text: str, limit: int) -> tuple[list[Match], int, int]:
        """What resembles a text; how many answers were looked through, and how many there are."""
        with self._lock:
            self._follow(connection)
            total = connection.scalar(select(func.count()).select_from(ANSWERS)) or 0
            return self._index.search(text, limit), len(self._index), total

    @property
    def _index(self) -> AnswerIndex:
        # Loaded when there is something to index: numpy takes 15 MB.
        from huiyin_casework.model.similar import AnswerIndex

        if self._made is None:
            self._made = AnswerIndex()
        return self._made

    def _follow(self, connection: Connection) -> bool:
        query = select(func.count(), func.max(ANSWERS.c.number)).select_from(ANSWERS)
        count, newest = connection.execute(query).one()
        if not count and self._made is None:
            return False
        known = self._index.numbers
        if count == len(known) and (newest is None or newest in known):
            return False
        there = set(connection.scalars(select(ANSWERS.c.number)))
        self._index.remove(set(known) - there)
        missing = sorted(there - set(known), reverse=True)[:_AT_ONCE]
        rows = connection.execute(select(ANSWERS).where(ANSWERS.c.number.in_(missing))).all()
        answers = read(connection, rows)
        self._index.add((each.row.number, f"{each.subject}\n{each.question}", each.text) for each in answers)
        return True
