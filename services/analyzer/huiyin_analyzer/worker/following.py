"""Following the collector: reads each new post, joins it to its event, grades the event, repairs what is amiss."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import Any

import structlog
from huiyin.analyzer.v1 import assessment_pb2, event_pb2
from huiyin.collector.v1 import post_pb2
from huiyin.type.v1 import feed_pb2
from huiyin_chassis.bulk import insert_many, update_many
from huiyin_chassis.clock import timestamp_to_micros
from huiyin_chassis.consumer import FeedPosition
from huiyin_chassis.feed import unpack
from huiyin_chassis.ids import derived_id
from huiyin_chassis.policies import Policies
from huiyin_chassis.store import Tx
from sqlalchemy import Connection, Row, or_, select, update

from huiyin_analyzer import resources, store
from huiyin_analyzer.grades import judge
from huiyin_analyzer.holds import hold_posts
from huiyin_analyzer.model import terms
from huiyin_analyzer.model.assessment import Grading, Override, Verdict, parse_grading
from huiyin_analyzer.model.events import Event, Post
from huiyin_analyzer.model.joining import Joined
from huiyin_analyzer.model.regrouping import Regrouping
from huiyin_analyzer.model.terms import NO_TERMS
from huiyin_analyzer.model.text import Reading
from huiyin_analyzer.model.titles import title
from huiyin_analyzer.readers import InForce, Readers
from huiyin_analyzer.regrouping import Rules
from huiyin_analyzer.store import EVENTS, POSTS, RuleBook, assessments, regroupings, search, topic_corrections
from huiyin_analyzer.topics import TOPIC_COLUMNS, Columns, as_corrected, as_read
from huiyin_analyzer.worker.repairing import Repairs
from huiyin_analyzer.worker.state import State, kept_terms

log = structlog.get_logger(__name__)

Told = tuple[str, post_pb2.Post]
"""What became of a post (post.created, post.updated, post.reach_changed, post.purged), and the post."""

_Row = dict[str, object]
_Judged = tuple[bytes, bytes]
"""A serialized Assessment, and an Event that holds nothing else."""

_DAY = 86_400_000_000
_EVENT = event_pb2.Event.DESCRIPTOR.full_name
_UNJUDGED = assessment_pb2.Assessment()
_REMEMBERED = 10_000


@dataclass
class _Touched:
    """An event in the batch: its row as it will be written, and whether its last state was told."""

    row: _Row
    verdict: Verdict
    new: bool
    told: bool = False


class Analysis:
    """Applies the collector's changes. One process at a time does so; the cursor in the store sees to that."""

    def __init__(self, policies: Policies, readers: Readers | None = None) -> None:
        self._policies = policies
        self._readers = readers or Readers()
        self._state: State | None = None
        self._unapplied: deque[Regrouping] = deque()
        self._book: RuleBook | None = None
        self._grading = Grading(())
        self._decisions: dict[str, Override] = {}
        self._judged: dict[tuple[tuple[str, float], ...], _Judged] = {}
        self.destroyed_texts = False
        """Whether texts were overwritten whose bytes may still be in the store's files."""

    def forget(self) -> None:
        """What is in memory is ahead of the store: load it again before the next batch."""
        self._state = None

    def apply(self, tx: Tx, changes: Sequence[feed_pb2.Change], position: FeedPosition) -> None:
        """Applies posts that were created, edited or purged, or that reach others than before, in their order."""
        posts = [(change.kind, unpack(change, post_pb2.Post)) for change in changes if change.kind.startswith("post.")]
        self.take(tx, posts, lambda step: position.request_id(changes[-1].sequence, step))

    def take(self, tx: Tx, posts: Sequence[Told], effect: Callable[[str], str]) -> None:
        """Takes posts over in their order. `effect`: the request id of what another service is told, by its step."""
        self._follow_rules(tx.connection)
        state = self._state
        if state is None:
            state = self._state = State.load(tx.connection)
            self._unapplied = deque(regroupings.unapplied(tx.connection))
        else:
            state.catch_up(tx.connection)
            if state.kept_holds:
                state.kept_holds = store.kept_holds(tx.connection)
        book = self._book or store.rule_book(tx.connection)
        rules = Rules(self._grading, book.policy, self._decisions)
        read = self._readers.get(tx.connection, book)
        repairs = Repairs(tx, state, rules)
        ids = [_id_of(post) for _, post in posts]
        known, done = store.known_posts(tx.connection, ids), 0
        while done < len(posts):
            self._apply_again(repairs, state)
            through = self._unapplied[0].after if self._unapplied else None
            batch = _Batch(tx, state, read, rules, self._judged, repairs, through, known, corrected=book.corrected)
            done += batch.apply(posts[done:], partial(_effect, effect, done))
            self.destroyed_texts |= batch.destroyed_texts
            if batch.amiss:
                repairs.repair(*batch.amiss)
            # The run, or a repair, may have changed the rows of posts that are told of once more.
            stale = known.keys() | set(ids[:done])
            known |= store.known_posts(tx.connection, [post_id for post_id in ids[done:] if post_id in stale])
        self._apply_again(repairs, state)

    def _apply_again(self, repairs: Repairs, state: State) -> None:
        """Carries out what was regrouped before a rebuild, each at its place between the posts."""
        while self._unapplied and self._unapplied[0].after <= state.numbered:
            repairs.apply_again(self._unapplied.popleft())

    def _follow_rules(self, connection: Connection) -> None:
        book = store.rule_book(connection)
        if book == self._book:
            return
        known = self._book
        if known is None or book.policy != known.policy:
            self._grading = parse_grading(self._policies.active(connection, "grading").body)
        self._decisions = assessments.decisions(connection)
        self._judged.clear()
        self._book = book
        log.info("analysis.rules_loaded", trees=book.trees, policy=book.policy)


class _Batch:
    """A run of changes: what is told goes out in the order of the feed, rows are written in bulk at the end.

    It ends early after a post whose event is amiss (`amiss`: the event, and whether it is a rehearsed one), and, where
    `through` is given, after so many posts: what happens there needs the rows.
    """

    def __init__(
        self,
        tx: Tx,
        state: State,
        read: InForce,
        rules: Rules,
        judged: dict[tuple[tuple[str, float], ...], _Judged],
        repairs: Repairs,
        through: int | None,
        known: Mapping[str, Row[Any]],
        *,
        corrected: bool,
    ) -> None:
        self._tx = tx
        self._state = state
        self._read = read
        self._corrected = corrected
        self._rules = rules
        self._judged = judged
        self._repairs = repairs
        self._through = through
        self._known = {post_id: dict(row._mapping) for post_id, row in known.items()}
        self._new: dict[str, _Row] = {}
        self._events: dict[str, Row[Any]] = {}
        self._touched: dict[str, _Touched] = {}
        self.amiss: tuple[str, bool] | None = None
        self.destroyed_texts = False

    def apply(self, posts: Sequence[Told], effect: Callable[[str], str]) -> int:
        """Applies what was told in its order, as far as the run goes; returns how far."""
        ids = [_id_of(post) for _, post in posts]
        readings: dict[str, tuple[Joined, Reading]] = {}
        taken = 0
        for post_id, (kind, post) in zip(ids, posts, strict=True):
            taken += 1
            # A post without any text was purged since; there is nothing to read, and its purge follows.
            if kind == "post.created" and post_id not in self._known and (post.subject or post.text):
                readings[post_id] = self._join(post_id, post)
                joined = readings[post_id][0]
                if joined.review and self._through is None and self._repairs.wanted(joined.event, post.drill):
                    self.amiss = (joined.event, post.drill)
                    break
                if self._state.numbered + len(readings) == self._through:
                    break
        topics = self._topics(posts[:taken], readings)
        # Only now is it known which events the run touches; they are fetched in one go.
        touched = [joined.event for joined, _ in readings.values()]
        touched += [str(self._known[post_id]["event_id"]) for post_id in ids[:taken] if post_id in self._known]
        self._events = store.events_by_id(self._tx.connection, touched)
        for post_id, (kind, post) in zip(ids[:taken], posts[:taken], strict=True):
            if kind == "post.created" and post_id in readings:
                self._count(post_id, post, *readings.pop(post_id), topics[post_id])
            elif kind == "post.updated":
                self._edit(post_id, post)
                self._follow_reach(post_id, post)
            elif kind == "post.reach_changed":
                self._follow_reach(post_id, post)
            elif kind == "post.purged":
                self._purge(post_id)
        self._finish(effect)
        return taken

    def _topics(self, posts: Sequence[Told], readings: Mapping[str, tuple[Joined, Reading]]) -> dict[str, Columns]:
        """What rows keep of the topics of new posts: what people said of them, else what is read, all at once."""
        new = {post_id: post for _, post in posts if (post_id := _id_of(post)) in readings}
        read = self._read.topics.read(
            ((post.subject, post.text) for post in new.values()), [readings[post_id][1] for post_id in new]
        )
        found = {post_id: as_read(topic) for post_id, topic in zip(new, read, strict=True)}
        if self._corrected:
            said = topic_corrections.in_force(self._tx.connection, found)
            found |= {post_id: as_corrected(correction) for post_id, correction in said.items()}
        return found

    def _join(self, post_id: str, post: post_pb2.Post) -> tuple[Joined, Reading]:
        reading = self._read.texts.read(post.subject, post.text)
        new_id, time = derived_id("event", post_id), timestamp_to_micros(post.publish_time)
        return self._state.joiners[post.drill].join(reading.terms, new_id, reading.place, time), reading

    def _count(self, post_id: str, post: post_pb2.Post, joined: Joined, reading: Reading, topic: Columns) -> None:
        """Counts a post that was joined, grades its event, and tells of both."""
        counted = Post(
            timestamp_to_micros(post.publish_time),
            post.source,
            post.expects_answer,
            votes_of(post),
            _voice_day(post),
            topic["topic"],
            reading.place,
            reading.intent,
            reading.harm,
            topic["topic_decides"],
        )
        event_id = joined.event
        self._state.numbered += 1
        row = self._new[post_id] = _row_of(post_id, post, self._state.numbered, event_id, counted, topic)
        event = self._state.events.get(event_id)
        if event is None:
            event = self._state.events[event_id] = Event(event_id)
            event.count(counted)
            self._open(event, title(post.subject, post.text), joined.echo_of, post.drill)
            self._tell_membership("membership.joined", row)
        else:
            event.count(counted)
            self._tell_membership("membership.joined", row)
            self._update(event)

    def _edit(self, post_id: str, post: post_pb2.Post) -> None:
        """Takes over an edited text, and the topic that it has now. All else of its event's figures stays as it was."""
        row = self._new.get(post_id) or self._known.get(post_id)
        if row is not None:
            topic = {name: row[name] for name in TOPIC_COLUMNS}
            if not row["topic_correction"] and (post.subject or post.text):
                ((_, reading),) = self._read.read([(post.subject, post.text)])
                topic = as_read(reading)
            self._change_text("membership.updated", row, post.subject, post.text, topic)

    def _follow_reach(self, post_id: str, post: post_pb2.Post) -> None:
        """Counts the votes that a post has now."""
        row = self._new.get(post_id) or self._known.get(post_id)
        votes = votes_of(post)
        if row is None or row["votes"] == votes:
            return
        event = self._state.events[str(row["event_id"])]
        event.votes += votes - int(str(row["votes"]))
        row["votes"] = votes
        if post_id not in self._new:
            self._tx.execute(update(POSTS).where(POSTS.c.id == post_id).values(votes=votes))
        self._update(event)

    def _purge(self, post_id: str) -> None:
        """Destroys the copy of a text that its source, or the term of keeping, took away."""
        row = self._new.get(post_id) or self._known.get(post_id)
        if row is not None:
            # Nobody can look at it any more.
            topic = {**{name: row[name] for name in TOPIC_COLUMNS}, "topic_low": False}
            self._change_text("membership.purged", row, "", "", topic)

    def _change_text(self, kind: str, row: _Row, subject: str, text: str, topic: Columns) -> None:
        post_id = str(row["id"])
        is_other_topic = row["topic"] != topic["topic"]
        before = str(row["subject"]), str(row["text"])
        # The joiner is loaded again from the terms by which it joined; those of a purged text go with it.
        joined_by = terms.dump(kept_terms(SimpleNamespace(**row)) if subject or text else NO_TERMS)
        row |= {
            **topic,
            "subject": subject,
            "text": text,
            "terms": joined_by,
            "revision": int(str(row["revision"])) + 1,
        }
        if post_id not in self._new:
            search.forget(self._tx.connection, post_id, *before)
            values = {name: row[name] for name in ("subject", "text", "terms", *TOPIC_COLUMNS, "revision")}
            self._tx.execute(update(POSTS).where(POSTS.c.id == post_id).values(values))
        self.destroyed_texts = True
        self._tell_membership(kind, row)
        event = self._state.events[str(row["event_id"])]
        if is_other_topic:
            self._count_topics(event)
        if title(*before) == self._row_of_event(event)["title"]:
            self._update(event, self._first_title(event.id))
        elif is_other_topic:
            self._update(event)

    def _count_topics(self, event: Event) -> None:
        """Counts the topics of an event anew: posts that are stored, then those of this batch."""
        counted = topic_corrections.counts(self._tx.connection, [event.id])[event.id]
        for new in self._new.values():
            if new["event_id"] == event.id:
                counted.count_topic(str(new["topic"]), bool(new["topic_decides"]))
        event.topics, event.decided = counted.topics, counted.decided

    def _first_title(self, event_id: str) -> str:
        """The title of an event: that of its first post whose text is kept."""
        kept = or_(POSTS.c.subject != "", POSTS.c.text != "")
        query = select(POSTS.c.subject, POSTS.c.text).where(POSTS.c.event_id == event_id, kept)
        row = self._tx.execute(query.order_by(POSTS.c.number).limit(1)).one_or_none()
        if row:
            return title(row.subject, row.text)
        titles = (
            title(str(new["subject"]), str(new["text"]))
            for new in self._new.values()
            if new["event_id"] == event_id and (new["subject"] or new["text"])
        )
        return next(titles, "")

    def _open(self, event: Event, called: str, echo_of: str, drill: bool) -> None:
        row: _Row = {
            "id": event.id,
            "title": called,
            "create_time": self._tx.now_us,
            "drill": drill,
            "hold": self._state.kept_holds.get(event.id, event_pb2.EVENT_HOLD_UNSPECIFIED),
            "merged_into": "",
            "split_from": "",
            "echo_of": echo_of,
            "revision": 0,
        }
        touched = self._touched[event.id] = _Touched(row, self._assess(event, row), new=True)
        self._tell_event("event.opened", touched)

    def _row_of_event(self, event: Event) -> _Row:
        touched = self._touched.get(event.id)
        return touched.row if touched else dict(self._events[event.id]._mapping)

    def _update(self, event: Event, called: str | None = None) -> None:
        """Grades an event whose figures changed; `called`: its new title, where it has one."""
        row = self._row_of_event(event)
        before = _matter(row)
        if called is not None:
            row["title"] = called
        verdict = self._assess(event, row)
        new = event.id in self._touched and self._touched[event.id].new
        touched = self._touched[event.id] = _Touched(row, verdict, new)
        # What matters is told where it happened, so that those who record it do so in the same order always;
        # growth alone is told once a batch.
        if before != _matter(row):
            self._tell_event("event.updated", touched)

    def _assess(self, event: Event, row: _Row) -> Verdict:
        rules = self._rules
        verdict, columns = judge(event, rules.grading, rules.version, rules.decisions.get(event.id))
        row |= columns
        return verdict

    def _tell_event(self, kind: str, touched: _Touched) -> None:
        row = touched.row
        row["assessment"], judged = self._judge(touched.verdict, str(row["id"]))
        row["update_time"] = self._tx.now_us
        row["revision"] = revision = int(str(row["revision"])) + 1
        message = resources.event(SimpleNamespace(**row), _UNJUDGED, with_title=False)
        # A message appended to a message is the two of them merged.
        body = message.SerializeToString() + judged
        self._tx.changes.add_bytes(kind, message.name, revision, _EVENT, body, drill=bool(row["drill"]))
        touched.told = True

    def _judge(self, verdict: Verdict, event_id: str) -> _Judged:
        """The assessment of a verdict, remembered by its figures: most events have one post and few kinds of them."""
        decision = self._rules.decisions.get(event_id)
        key = tuple(verdict.figures.items())
        found = None if decision else self._judged.get(key)
        if found is None:
            message = resources.assessment(verdict, self._rules.version, decision)
            found = message.SerializeToString(), event_pb2.Event(assessment=message).SerializeToString()
            if decision is None:
                if len(self._judged) >= _REMEMBERED:
                    self._judged.clear()
                self._judged[key] = found
        return found

    def _tell_membership(self, kind: str, row: _Row) -> None:
        message = resources.membership(SimpleNamespace(**row), with_text=False)
        self._tx.changes.add(kind, message.name, message.revision, message, drill=message.drill)

    def _finish(self, effect: Callable[[str], str]) -> None:
        """Tells of events that only grew, writes the rows, and holds posts that joined a held event."""
        for touched in self._touched.values():
            if not touched.told:
                self._tell_event("event.updated", touched)
        connection = self._tx.connection
        insert_many(connection, POSTS, list(self._new.values()))
        insert_many(connection, EVENTS, [touched.row for touched in self._touched.values() if touched.new])
        update_many(connection, EVENTS, [touched.row for touched in self._touched.values() if not touched.new])
        held = {event_id for event_id, touched in self._touched.items() if touched.row["hold"]}
        store.take_over_holds(self._tx, held & self._state.kept_holds.keys())
        joined = [post_id for post_id, row in self._new.items() if row["event_id"] in held]
        if joined:
            hold_posts(self._tx, joined, held=True, request_id=effect("hold"))


def _effect(effect: Callable[[str], str], done: int, step: str) -> str:
    """The request id of a step of the run that begins after so many changes."""
    return effect(f"{step}/{done}" if done else step)


def _id_of(post: post_pb2.Post) -> str:
    return post.name.removeprefix("posts/")


def _matter(row: _Row) -> tuple[object, ...]:
    return row["grade"], row["topic"], row["place"], row["title"]


def _row_of(post_id: str, post: post_pb2.Post, number: int, event_id: str, counted: Post, topic: Columns) -> _Row:
    return {
        "id": post_id,
        "number": number,
        "event_id": event_id,
        "joined_event_id": "",
        "previous_event_id": "",
        "source": post.source,
        "external_id": post.external_id,
        "subject": post.subject,
        "text": post.text,
        "terms": None,
        "publish_time": counted.publish_time,
        "expects_answer": counted.expects_answer,
        "drill": post.drill,
        "votes": counted.votes,
        "voice_day": counted.voice_day,
        **topic,
        "place": counted.place,
        "intent": int(counted.intent),
        "harm": int(counted.harm),
        "revision": 1,
    }


def votes_of(post: post_pb2.Post) -> int:
    """Likes, replies and shares of a post together."""
    return post.reach.likes + post.reach.replies + post.reach.shares


def _voice_day(post: post_pb2.Post) -> bytes:
    """A voice is distinct within its day; on another day the same person has another key and another voice."""
    if not post.voice:
        return b""
    day = timestamp_to_micros(post.collect_time) // _DAY
    return hashlib.blake2b(post.voice, key=day.to_bytes(4, "big"), digest_size=8).digest()
