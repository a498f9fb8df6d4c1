"""The readers that are in force: of texts, by the trees, and of topics, by the model that was put in force."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from sqlalchemy import Connection

from huiyin_analyzer import store
from huiyin_analyzer.model.text import PlaceNode, Reader, Reading
from huiyin_analyzer.model.topics import TopicModel, TopicReader, TopicReading
from huiyin_analyzer.store import RuleBook, topic_models

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class InForce:
    """What reads posts now. `choice`: the number of the choice of the model."""

    texts: Reader
    topics: TopicReader
    trees: int
    choice: int

    def read(self, posts: Sequence[tuple[str, str]]) -> list[tuple[Reading, TopicReading]]:
        """What is read of posts (subject, text), and their topics: the same as the stream of posts reads."""
        readings = [self.texts.read(*post) for post in posts]
        return list(zip(readings, self.topics.read(posts, readings), strict=True))


class Readers:
    """Loads what is in force when it has changed, and shares it among those who read."""

    def __init__(self) -> None:
        self._known: InForce | None = None

    def get(self, connection: Connection, book: RuleBook | None = None) -> InForce:
        """The readers; `book` saves looking it up."""
        book = book or store.rule_book(connection)
        known = self._known
        if known is not None and (known.trees, known.choice) == (book.trees, book.topic_choice):
            return known
        words = store.topics(connection)
        if known is not None and known.trees == book.trees:
            texts = known.texts
        else:
            texts = Reader(words, [PlaceNode(path, aliases) for path, aliases in store.places(connection).items()])
        topics = _topic_reader(connection, words)
        self._known = found = InForce(texts, topics, book.trees, book.topic_choice)
        log.info("readers.loaded", trees=book.trees, topic_model=topics.number)
        return found


def _topic_reader(connection: Connection, words: dict[str, list[str]]) -> TopicReader:
    number = topic_models.in_force(connection)
    model = None
    if number:
        try:
            model = TopicModel.load(topic_models.content(connection, number))
        except ValueError as error:
            # Posts go on; by the words of the tree, as where no model is.
            log.error("readers.model_unreadable", topic_model=number, why=str(error))
    return TopicReader(model, number if model else 0, words)
