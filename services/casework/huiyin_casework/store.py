"""Casework's tables, and the SQL over them. Times are microseconds since the epoch, UTC; 0 where there is none yet.

Names are kept as ids, paths of topics and places without their collection; sources, posts and accounts of others by
their resource names.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from huiyin_chassis.bulk import chunks, fetch, insert_many, select_locked, update_many
from huiyin_chassis.store import Store
from huiyin_chassis.tables import Id, define_tables
from huiyin_chassis.webhooks import secret_columns
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Row,
    Table,
    Text,
    select,
    text,
)

MIGRATIONS = Path(__file__).parent / "migrations"

METADATA = MetaData()
define_tables(METADATA)


def _time(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False)


def _text(name: str) -> Column[str]:
    return Column(name, Text, nullable=False)


EVENTS = Table(
    "events",
    METADATA,
    # What casework has to know of an event before, and after, it has a case.
    Column("id", Text, primary_key=True),
    Column("grade", Integer, nullable=False),
    _text("title"),
    _text("topic"),
    _text("place"),
    Column("drill", Boolean, nullable=False),
    # Its latest case, "" while it has none, and how many were opened for it.
    _text("case_id"),
    Column("case_count", Integer, nullable=False),
    # The event that has its posts now, "" while it has them itself. Never one that was merged away too.
    _text("merged_into"),
    # Why it has its grade, for the order.
    _text("grade_reason"),
    # Whole, for a query by what stands in a column does not use an index of rows where it is not "".
    Index("events_merged", "merged_into"),
)

CASES = Table(
    "cases",
    METADATA,
    Column("id", Text, primary_key=True),
    _text("event_id"),
    Column("state", Integer, nullable=False),
    Column("grade", Integer, nullable=False),
    _text("title"),
    _text("topic"),
    _text("place"),
    _text("lead_unit"),
    # JSON list of ids, as its assignments have them; kept here for whoever only shows the case.
    _text("assisting_units"),
    # JSON list of [unit, standing, objector]: what each of them is to contribute. Of a unit that assists no longer it
    # says that it objected.
    _text("parts"),
    _text("suggested_unit"),
    Column("inquiry_count", BigInteger, nullable=False),
    # The earliest among its unanswered inquiries; the largest integer where there is none, so that it sorts last.
    _time("deadline"),
    Column("extended", Boolean, nullable=False),
    # How far its extension has come, and who asked for it.
    Column("extension", Integer, nullable=False),
    _text("extension_requester"),
    # Whether the lead unit has objected to its order; which unit was the last to object, and who did.
    Column("objected", Boolean, nullable=False),
    _text("objecting_unit"),
    _text("objector"),
    # Inquiries whose authors are not satisfied with the answer in force.
    Column("dissatisfied_count", BigInteger, nullable=False),
    # Refusals of its inquiries that wait for their review.
    Column("open_refusal_count", BigInteger, nullable=False),
    Column("urgent", Boolean, nullable=False),
    # The order by which it is dealt with, "" for none.
    _text("order_id"),
    _time("create_time"),
    _time("update_time"),
    _time("assign_time"),
    _time("publish_time"),
    _time("close_time"),
    _text("predecessor"),
    _text("merged_into"),
    _text("reply_id"),
    _text("standing_reply"),
    Column("drill", Boolean, nullable=False),
    Column("contacts_destroyed", Boolean, nullable=False),
    Column("entry_count", BigInteger, nullable=False),
    Column("head_hash", LargeBinary, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Index("cases_by_event", "event_id"),
    # The order of the default listing, with what lists are filtered by, so that a filter is looked at in the index.
    Index(
        "cases_by_deadline",
        "deadline",
        "id",
        "topic",
        "place",
        "state",
        "grade",
        "urgent",
        "drill",
        "lead_unit",
        "suggested_unit",
        "create_time",
        "inquiry_count",
    ),
    Index("cases_by_state", "state", "deadline", "id", "lead_unit"),
    # Narrow, for counting what a filter keeps: SQLite looks through a page of them in half the time.
    Index("cases_counted_by_matter", "state", "topic", "place"),
    Index("cases_counted_by_measure", "state", "grade", "urgent", "drill", "inquiry_count", "create_time"),
    # What one unit has, in the same order. Of a place or a topic with all below it SQLite would sort too many so.
    *(Index(f"cases_by_{name}", name, "deadline", "id") for name in ("lead_unit", "suggested_unit")),
    Index(
        "cases_assigned_by_topic",
        "topic",
        "assign_time",
        sqlite_where=text("assign_time > 0"),
        postgresql_where=text("assign_time > 0"),
    ),
)

ASSIGNMENTS = Table(
    "assignments",
    METADATA,
    Column("case_id", Text, primary_key=True),
    Column("unit_id", Text, primary_key=True),
    Column("lead", Boolean, nullable=False),
    Index("assignments_by_unit", "unit_id"),
)

CASE_FILTERS = Table(
    "case_filters",
    METADATA,
    Column("id", Text, primary_key=True),
    # "accounts/…" whose own it is, or "units/…" whose members share it.
    _text("owner"),
    _text("account"),
    _text("display_name"),
    _text("filter"),
    _text("order_by"),
    _time("update_time"),
    Index("case_filters_by_owner", "owner", "display_name", unique=True),
)

ORDERS = Table(
    "orders",
    METADATA,
    # What was ordered, as it was then: a row a case was assigned by. Its id is its number.
    Column("id", Text, primary_key=True),
    _text("case_id"),
    # The entry of the case's chain that it is; the note stands beside that.
    Column("entry", BigInteger, nullable=False),
    _time("issue_time"),
    _text("office"),
    _text("issuer"),
    _text("lead_unit"),
    # JSON list of ids.
    _text("assisting_units"),
    _text("topic"),
    _text("place"),
    Column("grade", Integer, nullable=False),
    _text("grade_reason"),
    _time("accept_deadline"),
    _time("answer_deadline"),
    _text("basis"),
    Column("drill", Boolean, nullable=False),
    Index("orders_by_case", "case_id", "entry"),
    Index("orders_by_time", "issue_time", "id"),
)

ORDER_COUNTERS = Table(
    "order_counters",
    METADATA,
    # The last number that was given in a series.
    Column("id", Text, primary_key=True),
    Column("last", BigInteger, nullable=False),
)

INQUIRIES = Table(
    "inquiries",
    METADATA,
    Column("id", Text, primary_key=True),
    _text("case_id"),
    # The event of its post, "" and the post NULL until the analyzer has read it.
    _text("event_id"),
    Column("post", Text, unique=True),
    _text("source"),
    _text("external_id"),
    _text("subject"),
    _text("text"),
    # Of the digest in the chain; destroyed with the text.
    Column("salt", LargeBinary, nullable=False),
    Column("channel", Integer, nullable=False),
    Column("state", Integer, nullable=False),
    Column("return_path", Integer, nullable=False),
    _time("publish_time"),
    _time("receive_time"),
    _time("deadline"),
    Column("urgent", Boolean, nullable=False),
    _time("answer_time"),
    Column("drill", Boolean, nullable=False),
    Column("receipt_hash", LargeBinary, unique=True),
    Column("public_consent", Boolean, nullable=False),
    # The answered inquiry that it follows up on, "" for a first one.
    _text("follows"),
    # The reply that answers it, "" while none does.
    _text("reply_id"),
    Column("message_count", Integer, nullable=False),
    Column("attachment_count", Integer, nullable=False),
    # The question to its author that waits for an answer, "" for none.
    _text("question_id"),
    Column("feedback", Integer, nullable=False),
    _time("feedback_time"),
    # What is, or is to be, decided on its admission.
    Column("admission", Integer, nullable=False),
    Column("admission_state", Integer, nullable=False),
    # The account that took it down on the telephone or at the counter, "" for every other channel.
    _text("taken_by"),
    # Where it is about, in degrees (WGS 84); NULL where nobody says, and once the text is destroyed.
    Column("latitude", Double),
    Column("longitude", Double),
    # Whether a contact of its author is kept.
    Column("has_contact", Boolean, nullable=False),
    # When its partner took the answer in force.
    _time("deliver_time"),
    Column("revision", BigInteger, nullable=False),
    Index("inquiries_by_case", "case_id"),
    Index("inquiries_by_deadline", "deadline", "id"),
    Index("inquiries_by_receipt_time", "receive_time"),
    Index("inquiries_by_external_id", "external_id"),
    Index(
        "inquiries_following_up",
        "follows",
        sqlite_where=text("follows <> ''"),
        postgresql_where=text("follows <> ''"),
    ),
)

MESSAGES = Table(
    "messages",
    METADATA,
    # What an office and the author of an inquiry say to one another while it waits for its answer.
    Column("id", Text, primary_key=True),
    _text("inquiry_id"),
    # The case in whose chain it stands, "" until a case holds the inquiry.
    _text("case_id"),
    Column("kind", Integer, nullable=False),
    _text("text"),
    Column("salt", LargeBinary, nullable=False),
    # Of an office; "" for the inquiry's author.
    _text("unit"),
    _text("account"),
    # The question that it answers.
    _text("answers"),
    # Whether the inquiry's clock stood still for it.
    Column("paused", Boolean, nullable=False),
    _time("create_time"),
    Index("messages_by_inquiry", "inquiry_id", "create_time"),
    Index("messages_by_case", "case_id"),
)

ATTACHMENTS = Table(
    "attachments",
    METADATA,
    # A file of an inquiry, or of an answer of a case.
    Column("id", Text, primary_key=True),
    # "" for a file of an answer.
    _text("inquiry_id"),
    # The case in whose chain it stands, "" until a case holds the inquiry.
    _text("case_id"),
    # The reply that it goes with, "" for a file of an inquiry.
    _text("reply_id"),
    _text("file_name"),
    _text("media_type"),
    Column("size", BigInteger, nullable=False),
    # Of its bytes, in hex; destroyed with the text of its inquiry, as the salt of its digest in the chain is.
    _text("sha256"),
    Column("salt", LargeBinary, nullable=False),
    # "" for the author of the inquiry.
    _text("account"),
    _text("cleared_by"),
    _time("clear_time"),
    Column("readable", Boolean, nullable=False),
    Column("personal_data_count", Integer, nullable=False),
    _time("create_time"),
    Index("attachments_by_inquiry", "inquiry_id"),
    Index("attachments_by_case", "case_id"),
    Index("attachments_by_reply", "reply_id"),
    Index("attachments_by_sha256", "sha256"),
)

BLOBS = Table(
    "blobs",
    METADATA,
    # The bytes of attachments, once each.
    Column("sha256", Text, primary_key=True),
    Column("data", LargeBinary, nullable=False),
)

ADMISSIONS = Table(
    "admissions",
    METADATA,
    # Of an inquiry the last that was decided or proposed; those before stand in the chain.
    Column("id", Text, primary_key=True),
    # The case that it was decided in.
    _text("case_id"),
    Column("outcome", Integer, nullable=False),
    Column("state", Integer, nullable=False),
    _text("ground"),
    _text("body"),
    _text("text"),
    Column("salt", LargeBinary, nullable=False),
    _text("joined_case"),
    _text("proposer"),
    _text("reviewer"),
    _time("propose_time"),
    _time("decide_time"),
    Index("admissions_by_case", "case_id"),
)

CLOCKS = Table(
    "clocks",
    METADATA,
    # Of an answer's clock the inquiry's id; of an order's or a part's the case's and the unit's; else the case's and
    # the kind.
    Column("id", Text, primary_key=True),
    _text("case_id"),
    _text("inquiry_id"),
    # The unit that was given the order, or a part of it.
    _text("unit_id"),
    Column("kind", Integer, nullable=False),
    Column("state", Integer, nullable=False),
    _text("rule"),
    _time("start_time"),
    # What was promised, and what the rule gives; they differ where a promise is kept although the rule gives more.
    _time("deadline"),
    _time("counted_time"),
    # JSON list of [from, until], until null while it stands still.
    _text("pauses"),
    Column("speed", Integer, nullable=False),
    Column("stage", Integer, nullable=False),
    _time("stage_time"),
    # When its next step is due, NULL for none: found by its index among any number of clocks.
    Column("next_time", BigInteger),
    # The edition of the policy and the calendar that it was counted by; NULL unless it runs.
    Column("edition", BigInteger),
    _time("end_time"),
    Column("drill", Boolean, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Index("clocks_by_case", "case_id"),
    Index(
        "clocks_due",
        "next_time",
        sqlite_where=text("next_time IS NOT NULL"),
        postgresql_where=text("next_time IS NOT NULL"),
    ),
    Index(
        "clocks_to_count_anew",
        "edition",
        sqlite_where=text("edition IS NOT NULL"),
        postgresql_where=text("edition IS NOT NULL"),
    ),
    Index(
        "clocks_running",
        "deadline",
        "id",
        sqlite_where=text("edition IS NOT NULL"),
        postgresql_where=text("edition IS NOT NULL"),
    ),
)

CONTACTS = Table(
    "contacts",
    METADATA,
    Column("inquiry_id", Text, primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
)

REPLIES = Table(
    "replies",
    METADATA,
    Column("id", Text, primary_key=True),
    _text("case_id"),
    Column("state", Integer, nullable=False),
    _text("text"),
    Column("salt", LargeBinary, nullable=False),
    _text("unit"),
    _text("author"),
    _text("reviewer"),
    _text("approver"),
    _text("note"),
    _time("create_time"),
    _time("review_time"),
    _time("approve_time"),
    _time("publish_time"),
    # Which draft of its case it is, from 1.
    Column("version", Integer, nullable=False),
    # JSON list of findings, without words: those stand in the texts that they point into.
    _text("findings"),
    Column("overridden", Boolean, nullable=False),
    # Files that go with it.
    Column("enclosure_count", Integer, nullable=False),
    Index("replies_by_case", "case_id", "create_time"),
)

PARAGRAPHS = Table(
    "paragraphs",
    METADATA,
    # What a reply says to the author of one inquiry alone.
    Column("reply_id", Text, primary_key=True),
    Column("inquiry_id", Text, primary_key=True),
    _text("case_id"),
    _text("text"),
    Column("salt", LargeBinary, nullable=False),
    Index("paragraphs_by_case", "case_id"),
)

PUBLICATIONS = Table(
    "publications",
    METADATA,
    # A reply that everybody may read: its id, and what it answers, an inquiry's masked text or a summary.
    Column("id", Text, primary_key=True),
    _text("case_id"),
    _text("inquiry_id"),
    _text("text"),
    Column("salt", LargeBinary, nullable=False),
    _time("publish_time"),
    Index("publications_by_time", "publish_time", "id"),
    Index("publications_by_case", "case_id"),
)

ANSWERS = Table(
    "answers",
    METADATA,
    # A row that changes gets a new number, by which the index of each process learns of it.
    Column("number", Id, primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    # A reply of ours, whose texts stand where they belong; "" for what was imported, whose texts stand here.
    _text("reply_id"),
    _text("case_id"),
    _text("source"),
    _text("external_id"),
    _text("subject"),
    _text("question"),
    _text("text"),
    _text("unit"),
    _time("publish_time"),
    _time("create_time"),
    Index("answers_by_case", "case_id"),
    Index("answers_by_time", "create_time"),
    sqlite_autoincrement=True,
)

ENTRIES = Table(
    "entries",
    METADATA,
    Column("case_id", Text, primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    _text("step"),
    _text("actor"),
    _time("time"),
    _text("details"),
    Column("text_digest", LargeBinary, nullable=False),
    Column("previous", LargeBinary, nullable=False),
    Column("hash", LargeBinary, nullable=False),
)

NOTES = Table(
    "notes",
    METADATA,
    # What people wrote beside a step; its digest is in the chain.
    Column("case_id", Text, primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    _text("text"),
    Column("salt", LargeBinary, nullable=False),
)

MOVING_IN = Table(
    "moving_in",
    METADATA,
    # What is still to be done for an inquiry that an office brought along, until a case holds it.
    Column("inquiry_id", Text, primary_key=True),
    # What it comes from, and where it stood there.
    _text("source"),
    _text("file_name"),
    Column("row", Integer, nullable=False),
    _text("state"),
    _text("lead_unit"),
    _text("topic"),
    _text("place"),
    # Who imported it.
    _text("account"),
)

TASKS = Table(
    "tasks",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("kind", Integer, nullable=False),
    Column("state", Integer, nullable=False),
    _text("case_id"),
    _text("other_case"),
    _text("event_id"),
    _text("inquiry_id"),
    _text("source"),
    _text("external_id"),
    _text("reply_id"),
    # The number of the regrouping that the analyzer proposes.
    _text("regrouping"),
    _text("note"),
    _time("create_time"),
    _time("complete_time"),
    _text("completer"),
    Column("drill", Boolean, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Index("tasks_by_state", "state", "create_time"),
    Index("tasks_by_case", "case_id", "state"),
)

UNITS = Table(
    "units",
    METADATA,
    Column("id", Text, primary_key=True),
    _text("display_name"),
    _text("parent"),
    _text("kind"),
    Column("desk", Boolean, nullable=False),
    _text("contact"),
    # JSON list of [role, name, telephone, account].
    _text("contact_persons"),
    # JSON lists of paths.
    _text("places"),
    _text("topics"),
    # JSON lists of stretches, of accounts, of [account, from, until]; the zone is "" for the policy's.
    _text("working_hours"),
    _text("time_zone"),
    _text("stand_ins"),
    _text("absences"),
)

PARTNERS = Table(
    "partners",
    METADATA,
    Column("id", Text, primary_key=True),
    _text("display_name"),
    # Where answers are posted to, "" for nowhere.
    _text("callback_url"),
    Column("disabled", Boolean, nullable=False),
    *secret_columns(),
    _time("create_time"),
    _time("update_time"),
    Column("revision", BigInteger, nullable=False),
)

MEMBERS = Table(
    "members",
    METADATA,
    Column("unit_id", Text, primary_key=True),
    Column("account", Text, primary_key=True),
    # JSON list.
    _text("roles"),
    Index("members_by_account", "account"),
)

Fields = dict[str, Any]
"""A row by the names of its columns."""

NO_DEADLINE = 2**63 - 1
"""Of a case without an inquiry that waits; sorts last."""


class CaseworkStore(Store):
    """Casework's store; what people were promised must survive a loss of power."""

    def __init__(self, url: str) -> None:
        super().__init__(url, feed="casework", migrations=MIGRATIONS, durability="FULL")


class Rows:
    """Rows of one table in a work: loaded, changed and created in memory, written in bulk at the end."""

    __slots__ = ("_asked", "_changed", "_columns", "_new", "_rows", "_table")

    def __init__(self, table: Table) -> None:
        self._table = table
        self._rows: dict[str, Fields] = {}
        self._new: dict[str, Fields] = {}
        self._changed: dict[str, Fields] = {}
        self._columns: set[str] = set()
        self._asked: set[tuple[str, str]] = set()

    def load(self, connection: Connection, column: Column[Any], values: Iterable[str]) -> None:
        """Loads the rows whose column is one of the values; a row that is in memory already stays as it is there.

        On PostgreSQL they stay locked until the work ends, for another process may write too. By the same value it
        looks only once: what this work changes since is in memory.
        """
        name = column.name
        for chunk in chunks(value for value in values if (name, value) not in self._asked):
            self._asked.update((name, value) for value in chunk)
            for row in select_locked(connection, column, chunk):
                self._rows.setdefault(row["id"], row)

    def find(self, connection: Connection, row_id: str) -> Fields | None:
        """A row by its id, loaded when it is not in memory yet."""
        row = self._rows.get(row_id)
        if row is None and row_id and ("id", row_id) not in self._asked:
            self._asked.add(("id", row_id))
            for row in select_locked(connection, self._table.c.id, (row_id,)):
                self._rows[row_id] = row
        return row

    def get(self, row_id: str) -> Fields | None:
        """A row by its id, if it is in memory."""
        return self._rows.get(row_id)

    def __iter__(self) -> Iterator[Fields]:
        return iter(list(self._rows.values()))

    def add(self, row: Fields) -> Fields:
        """A new row."""
        self._rows[row["id"]] = self._new[row["id"]] = row
        return row

    def change(self, row: Fields, **values: Any) -> None:
        """Changes a row."""
        row.update(values)
        row_id = row["id"]
        if row_id not in self._new:
            self._changed[row_id] = row
            self._columns.update(values)

    def write(self, connection: Connection) -> None:
        """Writes what is new, and of what changed the columns that changed in any row."""
        if self._new:
            insert_many(connection, self._table, list(self._new.values()))
            self._new.clear()
        if self._changed:
            names = ["id", *sorted(self._columns)]
            changed = [{name: row[name] for name in names} for row in self._changed.values()]
            update_many(connection, self._table, changed)
            self._changed.clear()
            self._columns.clear()


_EVERY_UNIT = select(UNITS).order_by(UNITS.c.id)


def units(connection: Connection) -> list[Row[Any]]:
    """Every unit, by id."""
    return list(connection.execute(_EVERY_UNIT))


def unit_rows(connection: Connection) -> list[tuple[Any, ...]]:
    """The same as the driver gives them: to see whether any has changed."""
    return fetch(connection, _EVERY_UNIT)


def subtree(rows: Iterable[Row[Any]], roots: Iterable[str]) -> list[str]:
    """Units and all below them, by id."""
    children: dict[str, list[str]] = {}
    for row in rows:
        children.setdefault(row.parent, []).append(row.id)
    found: dict[str, None] = {}
    waiting = list(roots)
    while waiting:
        unit = waiting.pop()
        if unit not in found:
            found[unit] = None
            waiting += children.get(unit, [])
    return sorted(found)
