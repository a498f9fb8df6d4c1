"""Topic models and which of them is in force."""

from __future__ import annotations

from typing import Any, Final

from huiyin_chassis.store import Tx
from sqlalchemy import Connection, Row, func, select, update

from huiyin_analyzer.store import TOPIC_CHOICES, TOPIC_MODELS

KEPT: Final = 10
"""So many of the newest models can be put in force, and the one that is; of older ones the report remains."""

COLUMNS: Final = tuple(column for column in TOPIC_MODELS.c if column.name != "model")
"""All but the model itself, which has megabytes."""


def add(tx: Tx, *, report: bytes, model: bytes, author: str) -> int:
    """Keeps a model as the newest; discards those that are too old by now. Returns its number."""
    values: dict[str, Any] = {
        "create_time": tx.now_us,
        "author": author,
        "report": report,
        "model": model,
        "discarded": False,
    }
    number: int = tx.execute(TOPIC_MODELS.insert().returning(TOPIC_MODELS.c.number), values).scalar_one()
    newest = select(TOPIC_MODELS.c.number).order_by(TOPIC_MODELS.c.number.desc()).limit(KEPT)
    old = ~TOPIC_MODELS.c.discarded & TOPIC_MODELS.c.number.not_in(newest)
    old &= TOPIC_MODELS.c.number != in_force(tx.connection)
    tx.execute(update(TOPIC_MODELS).where(old).values(model=b"", discarded=True))
    return number


def choose(tx: Tx, number: int, author: str) -> None:
    """Puts a model in force; 0: none."""
    tx.execute(TOPIC_CHOICES.insert(), {"model": number, "author": author, "create_time": tx.now_us})


def in_force(connection: Connection) -> int:
    """The number of the model that was chosen last; 0 where there is none."""
    query = select(TOPIC_CHOICES.c.model).order_by(TOPIC_CHOICES.c.number.desc()).limit(1)
    return connection.scalar(query) or 0


def newest_choice(connection: Connection) -> int:
    """The number of the newest choice of a model; it grows with each."""
    return connection.scalar(select(func.max(TOPIC_CHOICES.c.number))) or 0


def get(connection: Connection, number: int) -> Row[Any] | None:
    """A model without its bytes, where there is one of this number."""
    return connection.execute(select(*COLUMNS).where(TOPIC_MODELS.c.number == number)).one_or_none()


def content(connection: Connection, number: int) -> bytes:
    """What `TopicModel.dump` made of a model that is kept."""
    found: bytes = connection.execute(select(TOPIC_MODELS.c.model).where(TOPIC_MODELS.c.number == number)).scalar_one()
    return found
