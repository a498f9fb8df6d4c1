"""Topic models and which of them is in force."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from huiyin_chassis.store import Tx
from sqlalchemy import Connection, Row, delete, func, or_, select, update

from huiyin_analyzer.store import POSTS, TOPIC_CHOICES, TOPIC_MODELS, TOPIC_REREADING
from huiyin_analyzer.store.regroupings import wait_for_turn

KEPT: Final = 10
"""So many of the newest models can be put in force, and the one that is; of older ones the report remains."""

COLUMNS: Final = tuple(column for column in TOPIC_MODELS.c if column.name != "model")
"""All but the model itself, which has megabytes."""


class Rereading(NamedTuple):
    """How far stored posts are read anew: by which choice of a model, the number of the last, and through which."""

    choice: int
    number: int
    through: int


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
    """Puts a model in force, 0: none; the posts that there are have to be read by it anew."""
    # Who joins posts now does it by the model of before; what comes after reads the new one.
    wait_for_turn(tx)
    values: dict[str, Any] = {"model": number, "author": author, "create_time": tx.now_us}
    choice = tx.execute(TOPIC_CHOICES.insert().returning(TOPIC_CHOICES.c.number), values).scalar_one()
    through = tx.execute(select(func.max(POSTS.c.number))).scalar() or 0
    tx.execute(delete(TOPIC_REREADING))
    tx.execute(TOPIC_REREADING.insert(), {"id": 1, "choice": choice, "number": 0, "through": through})


def in_force(connection: Connection) -> int:
    """The number of the model that was chosen last; 0 where there is none."""
    query = select(TOPIC_CHOICES.c.model).order_by(TOPIC_CHOICES.c.number.desc()).limit(1)
    return connection.scalar(query) or 0


def get(connection: Connection, number: int) -> Row[Any] | None:
    """A model without its bytes, where there is one of this number."""
    return connection.execute(select(*COLUMNS).where(TOPIC_MODELS.c.number == number)).one_or_none()


def content(connection: Connection, number: int) -> bytes:
    """What `TopicModel.dump` made of a model that is kept."""
    found: bytes = connection.execute(select(TOPIC_MODELS.c.model).where(TOPIC_MODELS.c.number == number)).scalar_one()
    return found


def rereading(connection: Connection) -> Rereading | None:
    """What is left to be read anew; None where nothing is."""
    columns = [TOPIC_REREADING.c[name] for name in Rereading._fields]
    row = connection.execute(select(*columns).where(TOPIC_REREADING.c.number < TOPIC_REREADING.c.through)).one_or_none()
    return Rereading(*row) if row else None


def to_reread(connection: Connection, progress: Rereading, limit: int) -> list[Row[Any]]:
    """The posts that come next: those whose text is kept and whose topic nobody corrected."""
    kept = or_(POSTS.c.subject != "", POSTS.c.text != "")
    query = select(POSTS.c.id, POSTS.c.number, POSTS.c.revision, POSTS.c.subject, POSTS.c.text).where(
        POSTS.c.number > progress.number, POSTS.c.number <= progress.through, kept, POSTS.c.topic_correction == 0
    )
    return list(connection.execute(query.order_by(POSTS.c.number).limit(limit)))


def note_reread(tx: Tx, number: int) -> None:
    """Stored posts are read anew up to this number."""
    tx.execute(update(TOPIC_REREADING).values(number=number))
