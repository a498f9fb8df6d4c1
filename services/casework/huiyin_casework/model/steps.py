"""The steps of a case as one table: from which state, by whom, to which state.

The service runs from this table, the tests are generated from it, and the documentation prints it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar


class State(StrEnum):
    """Where a case stands."""

    REGISTERED = "REGISTERED"
    ASSIGNED = "ASSIGNED"
    ACCEPTED = "ACCEPTED"
    DRAFTED = "DRAFTED"
    REVIEWED = "REVIEWED"
    APPROVED = "APPROVED"
    PUBLISHED = "PUBLISHED"
    CLOSED = "CLOSED"
    MERGED = "MERGED"
    OBJECTED = "OBJECTED"


class Step(StrEnum):
    """What a person may do with a case. Review and approval each pass or return a draft."""

    ADMIT = "admit"
    REFUSE = "refuse"
    PASS_REFUSAL = "review_refusal.pass"  # noqa: S105 (a step's name, not a password)
    RETURN_REFUSAL = "review_refusal.return"
    JOIN = "join"
    DISMISS = "dismiss"
    ASSIGN = "assign"
    OBJECT = "object"
    UPHOLD_OBJECTION = "decide_objection.pass"
    REFUSE_OBJECTION = "decide_objection.return"
    ACCEPT = "accept"
    INVESTIGATE = "investigate"
    NOTE = "note"
    CONTRIBUTE = "contribute"
    OBJECT_TO_PART = "object_to_part"
    UPHOLD_PART_OBJECTION = "decide_part_objection.pass"
    REFUSE_PART_OBJECTION = "decide_part_objection.return"
    ASK = "ask"
    TELL = "tell"
    CLOSE_QUESTION = "close_question"
    CONTACT_TO_ASK = "read_contact.ask_back"
    CONTACT_TO_VERIFY = "read_contact.verify_on_site"
    CONTACT_TO_DELIVER = "read_contact.deliver_reply"
    CONTACT_TO_VISIT = "read_contact.return_visit"
    ATTACH = "attach"
    WRITE = "write"
    WITHDRAW = "withdraw"
    DRAFT = "draft"
    ENCLOSE = "enclose"
    TAKE_OUT = "take_out"
    CLEAR = "clear"
    PASS_REVIEW = "review.pass"  # noqa: S105 (a step's name, not a password)
    RETURN_REVIEW = "review.return"
    APPROVE = "approve"
    RETURN_APPROVAL = "approve.return"
    PUBLISH = "publish"
    FEEDBACK = "feedback"
    REOPEN = "reopen"
    CLOSE = "close"
    EXTEND = "extend"
    REQUEST_EXTENSION = "request_extension"
    GRANT_EXTENSION = "decide_extension.pass"
    REFUSE_EXTENSION = "decide_extension.return"


class Fact(StrEnum):
    """What may be true of a case beside its state, and decide whether a step is possible."""

    EXTENDED = "extended"
    EXTENSION_REQUESTED = "extension requested"
    OBJECTED = "objected to this order before"
    DISSATISFIED = "an author is not satisfied"
    REFUSAL_OPEN = "a refusal waits for its review"
    NOTHING_WAITS = "no inquiry waits for an answer"
    PART_OPEN = "a unit assists"
    PART_WAITS = "a unit that never objected to its part is to contribute"
    PART_OBJECTED = "an assisting unit's objection waits"


@dataclass(frozen=True)
class Transition:
    """One row of the table."""

    source: State
    step: Step
    target: State


@dataclass(frozen=True)
class Office:
    """Who takes a step: the permission that the method asks for, and the roles that usually hold it."""

    permission: str
    roles: tuple[str, ...]
    lead_only: bool
    """True when only the lead unit (or the desk) takes this step; assisting units look on."""
    assisting_only: bool = False
    """True when only an assisting unit (or the desk) takes this step, for its own part of the order."""
    by_author: bool = False
    """True when the author of an inquiry takes this step, with the receipt and without an account."""


DESK = "desk"
"""The role that assigns and publishes."""

AUTHOR = "author"
"""Who holds the receipt of an inquiry; no role of an account."""

OFFICES: dict[Step, Office] = {
    Step.ADMIT: Office("casework.admissions.write", ("desk",), False),
    Step.REFUSE: Office("casework.admissions.write", ("desk",), False),
    Step.PASS_REFUSAL: Office("casework.refusals.review", ("desk",), False),
    Step.RETURN_REFUSAL: Office("casework.refusals.review", ("desk",), False),
    Step.JOIN: Office("casework.admissions.write", ("desk",), False),
    Step.DISMISS: Office("casework.cases.dismiss", ("desk",), False),
    Step.ASSIGN: Office("casework.cases.assign", ("desk",), False),
    Step.OBJECT: Office("casework.cases.object", ("officer",), True),
    Step.UPHOLD_OBJECTION: Office("casework.objections.decide", ("desk",), False),
    Step.REFUSE_OBJECTION: Office("casework.objections.decide", ("desk",), False),
    Step.ACCEPT: Office("casework.cases.accept", ("officer",), True),
    Step.INVESTIGATE: Office("casework.cases.investigate", ("officer",), False),
    Step.NOTE: Office("casework.cases.note", ("desk", "officer", "reviewer", "approver"), False),
    Step.CONTRIBUTE: Office("casework.cases.contribute", ("officer",), False, assisting_only=True),
    Step.OBJECT_TO_PART: Office("casework.cases.object", ("officer",), False, assisting_only=True),
    Step.UPHOLD_PART_OBJECTION: Office("casework.objections.decide", ("desk",), False),
    Step.REFUSE_PART_OBJECTION: Office("casework.objections.decide", ("desk",), False),
    Step.ASK: Office("casework.messages.write", ("desk", "officer"), True),
    Step.TELL: Office("casework.messages.write", ("desk", "officer"), True),
    Step.CLOSE_QUESTION: Office("casework.messages.write", ("desk", "officer"), True),
    Step.CONTACT_TO_ASK: Office("casework.contacts.read", ("desk", "officer"), True),
    Step.CONTACT_TO_VERIFY: Office("casework.contacts.read", ("desk", "officer"), True),
    Step.CONTACT_TO_DELIVER: Office("casework.contacts.read", ("desk", "officer"), True),
    Step.CONTACT_TO_VISIT: Office("casework.contacts.read", ("desk", "officer"), True),
    Step.ATTACH: Office("casework.attachments.write", ("desk", "officer"), False),
    Step.WRITE: Office("casework.receipts.write", (AUTHOR,), False, by_author=True),
    Step.WITHDRAW: Office("casework.receipts.withdraw", (AUTHOR,), False, by_author=True),
    Step.DRAFT: Office("casework.cases.draft", ("officer",), True),
    Step.ENCLOSE: Office("casework.cases.draft", ("officer",), True),
    Step.TAKE_OUT: Office("casework.cases.draft", ("officer",), True),
    Step.CLEAR: Office("casework.cases.review", ("reviewer",), True),
    Step.PASS_REVIEW: Office("casework.cases.review", ("reviewer",), True),
    Step.RETURN_REVIEW: Office("casework.cases.review", ("reviewer",), True),
    Step.APPROVE: Office("casework.cases.approve", ("approver",), True),
    Step.RETURN_APPROVAL: Office("casework.cases.approve", ("approver",), True),
    Step.PUBLISH: Office("casework.cases.publish", ("desk",), False),
    Step.FEEDBACK: Office("casework.receipts.feedback", (AUTHOR,), False, by_author=True),
    Step.REOPEN: Office("casework.cases.reopen", ("desk",), False),
    Step.CLOSE: Office("casework.cases.close", ("desk",), False),
    Step.EXTEND: Office("casework.cases.extend", ("desk",), False),
    Step.REQUEST_EXTENSION: Office("casework.extensions.request", ("officer",), True),
    Step.GRANT_EXTENSION: Office("casework.extensions.decide", ("desk", "approver"), True),
    Step.REFUSE_EXTENSION: Office("casework.extensions.decide", ("desk", "approver"), True),
}

NEEDS: dict[Step, Fact] = {
    Step.GRANT_EXTENSION: Fact.EXTENSION_REQUESTED,
    Step.REFUSE_EXTENSION: Fact.EXTENSION_REQUESTED,
    Step.REOPEN: Fact.DISSATISFIED,
    Step.PASS_REFUSAL: Fact.REFUSAL_OPEN,
    Step.RETURN_REFUSAL: Fact.REFUSAL_OPEN,
    Step.DISMISS: Fact.NOTHING_WAITS,
    Step.CONTRIBUTE: Fact.PART_OPEN,
    Step.OBJECT_TO_PART: Fact.PART_WAITS,
    Step.UPHOLD_PART_OBJECTION: Fact.PART_OBJECTED,
    Step.REFUSE_PART_OBJECTION: Fact.PART_OBJECTED,
}
"""What has to be true for a step."""

BARS: dict[Step, frozenset[Fact]] = {
    Step.EXTEND: frozenset({Fact.EXTENDED}),
    Step.REQUEST_EXTENSION: frozenset({Fact.EXTENDED, Fact.EXTENSION_REQUESTED}),
    Step.OBJECT: frozenset({Fact.OBJECTED}),
    Step.ASSIGN: frozenset({Fact.REFUSAL_OPEN}),
}
"""What must not be true for a step."""

_BEFORE_PUBLISHING = (
    State.REGISTERED,
    State.ASSIGNED,
    State.OBJECTED,
    State.ACCEPTED,
    State.DRAFTED,
    State.REVIEWED,
    State.APPROVED,
)

TABLE: tuple[Transition, ...] = (
    # What is asked is admitted, refused with a ground, or joined to another case, before a unit is ordered.
    *(
        Transition(State.REGISTERED, step, State.REGISTERED)
        for step in (Step.ADMIT, Step.REFUSE, Step.PASS_REFUSAL, Step.RETURN_REFUSAL, Step.JOIN)
    ),
    Transition(State.REGISTERED, Step.ASSIGN, State.ASSIGNED),
    # An order sent to the wrong unit is replaced as long as nobody has taken it up.
    Transition(State.ASSIGNED, Step.ASSIGN, State.ASSIGNED),
    Transition(State.ASSIGNED, Step.ACCEPT, State.ACCEPTED),
    Transition(State.ASSIGNED, Step.OBJECT, State.OBJECTED),
    # An order that was rightly objected to is none any more; one that was not stands, and its clock goes on.
    Transition(State.OBJECTED, Step.UPHOLD_OBJECTION, State.REGISTERED),
    Transition(State.OBJECTED, Step.REFUSE_OBJECTION, State.ASSIGNED),
    Transition(State.ACCEPTED, Step.INVESTIGATE, State.ACCEPTED),
    # Whoever deals with the case notes what the others are to know, until it is sealed.
    *(Transition(state, Step.NOTE, state) for state in (*_BEFORE_PUBLISHING, State.PUBLISHED)),
    Transition(State.ACCEPTED, Step.DRAFT, State.DRAFTED),
    # Files go with a draft, and are looked over before it passes.
    *(Transition(State.DRAFTED, step, State.DRAFTED) for step in (Step.ENCLOSE, Step.TAKE_OUT, Step.CLEAR)),
    Transition(State.DRAFTED, Step.PASS_REVIEW, State.REVIEWED),
    Transition(State.DRAFTED, Step.RETURN_REVIEW, State.ACCEPTED),
    Transition(State.REVIEWED, Step.APPROVE, State.APPROVED),
    Transition(State.REVIEWED, Step.RETURN_APPROVAL, State.ACCEPTED),
    Transition(State.APPROVED, Step.PUBLISH, State.PUBLISHED),
    # What an author says of the answer, once; the desk may reopen the case for those that were not satisfied.
    Transition(State.PUBLISHED, Step.FEEDBACK, State.PUBLISHED),
    Transition(State.PUBLISHED, Step.REOPEN, State.ACCEPTED),
    Transition(State.PUBLISHED, Step.CLOSE, State.CLOSED),
    Transition(State.CLOSED, Step.FEEDBACK, State.CLOSED),
    # A new draft starts the way again: review and approval belong to a text, not to a case.
    Transition(State.DRAFTED, Step.DRAFT, State.DRAFTED),
    Transition(State.REVIEWED, Step.DRAFT, State.DRAFTED),
    Transition(State.APPROVED, Step.DRAFT, State.DRAFTED),
    *(Transition(state, Step.EXTEND, state) for state in _BEFORE_PUBLISHING),
    # The desk may ask before it assigns; once a unit works on the case, it asks.
    *(
        Transition(state, step, state)
        for state in (State.REGISTERED, State.ACCEPTED, State.DRAFTED, State.REVIEWED, State.APPROVED)
        for step in (Step.ASK, Step.TELL, Step.CLOSE_QUESTION, Step.CONTACT_TO_ASK)
    ),
    # A contact is opened for what the case stands at: to meet its author while a unit works, to tell the answer later.
    *(
        Transition(state, Step.CONTACT_TO_VERIFY, state)
        for state in (State.ACCEPTED, State.DRAFTED, State.REVIEWED, State.APPROVED)
    ),
    Transition(State.PUBLISHED, Step.CONTACT_TO_DELIVER, State.PUBLISHED),
    Transition(State.PUBLISHED, Step.CONTACT_TO_VISIT, State.PUBLISHED),
    # What was brought, or found on the spot, is put beside an inquiry while the case is worked on, by the desk before.
    *(
        Transition(state, Step.ATTACH, state)
        for state in (State.REGISTERED, State.ACCEPTED, State.DRAFTED, State.REVIEWED, State.APPROVED)
    ),
    # An author adds to an inquiry, or withdraws it, as long as it waits for its answer.
    *(Transition(state, step, state) for state in _BEFORE_PUBLISHING for step in (Step.WRITE, Step.WITHDRAW)),
    # Where every inquiry was refused, joined or withdrawn, nothing is left to answer.
    *(Transition(state, Step.DISMISS, State.CLOSED) for state in _BEFORE_PUBLISHING),
    # A unit asks while it works on the case; what it asked for is decided as long as the case is open.
    *(
        Transition(state, step, state)
        for state in _BEFORE_PUBLISHING[1:]
        for step in (Step.REQUEST_EXTENSION, Step.GRANT_EXTENSION, Step.REFUSE_EXTENSION)
    ),
    # However far the lead unit has come, an assisting one contributes or objects to its own part. Where that part
    # stands then, model.parts says.
    *(
        Transition(state, step, state)
        for state in _BEFORE_PUBLISHING[1:]
        for step in (Step.CONTRIBUTE, Step.OBJECT_TO_PART, Step.UPHOLD_PART_OBJECTION, Step.REFUSE_PART_OBJECTION)
    ),
)

_TARGETS: dict[tuple[State, Step], State] = {(row.source, row.step): row.target for row in TABLE}

OPEN_STATES: frozenset[State] = frozenset(_BEFORE_PUBLISHING)
"""States in which a case still waits for its answer; an event has at most one case in one of them."""

UNDER_ORDER: frozenset[State] = OPEN_STATES - {State.REGISTERED}
"""States in which a unit works on the case."""


@dataclass(frozen=True)
class LegalStep:
    """A step that is possible now, and the roles that may take it."""

    step: Step
    roles: tuple[str, ...]


class IllegalStep(Exception):
    """The step is not in the table for this state. Names the steps that are, and for whom."""

    def __init__(self, state: State, step: Step, facts: frozenset[Fact] | None = None) -> None:
        self.state = state
        self.step = step
        self.legal = legal_steps(state, facts, by_author=OFFICES[step].by_author)
        now = "; ".join(f"{legal.step.value} ({', '.join(legal.roles)})" for legal in self.legal) or "none"
        super().__init__(f"{step.value} is not possible while the case is {state.value}. Possible now: {now}.")


class NotNow(Exception):
    """The step is in the table, but what is true of the case beside its state does not allow it."""

    reason: ClassVar[str]
    """For programs."""
    sentence: ClassVar[str]

    def __init__(self) -> None:
        super().__init__(self.sentence)


class AlreadyExtended(NotNow):
    """A case is extended once."""

    reason = "ALREADY_EXTENDED"
    sentence = "This case was extended before. A case is extended once; answer by the date that was promised."


class NotRequested(NotNow):
    """There is nothing to decide on."""

    reason = "EXTENSION_NOT_REQUESTED"
    sentence = "Nobody has asked for an extension of this case; its lead unit does."


class AlreadyRequested(NotNow):
    """The unit asked before, and waits."""

    reason = "EXTENSION_REQUESTED"
    sentence = "An extension was asked for already and waits to be decided on."


class AlreadyObjected(NotNow):
    """A unit objects to an order once."""

    reason = "ALREADY_OBJECTED"
    sentence = "The unit objected to this order before, and the desk decided. Accept the case, or ask the desk."


class NobodyDissatisfied(NotNow):
    """A case is reopened for an author who was not satisfied."""

    reason = "NOBODY_DISSATISFIED"
    sentence = "No author has said that the answer does not satisfy; a case is reopened for those who did."


class RefusalOpen(NotNow):
    """A case is not assigned before it is clear which of its inquiries are dealt with."""

    reason = "REFUSAL_OPEN"
    sentence = "A refusal of one of its inquiries waits for its review; review it before the case is assigned."


class NoRefusal(NotNow):
    """There is nothing to review."""

    reason = "NO_REFUSAL"
    sentence = "No refusal of its inquiries waits for a review."


class InquiryWaits(NotNow):
    """A case in which somebody waits is not dismissed."""

    reason = "INQUIRY_WAITS"
    sentence = "An inquiry of this case waits for its answer: assign the case, or refuse or join what it holds."


class NobodyAssists(NotNow):
    """There is nothing to contribute to."""

    reason = "NOBODY_ASSISTS"
    sentence = "No unit assists in this case that could contribute; the desk orders units to assist as it assigns."


class NoPartWaits(NotNow):
    """There is nothing to object to."""

    reason = "NO_PART_WAITS"
    sentence = "A unit objects to its part once, and before it has contributed; there is no such part here."


class NoPartObjection(NotNow):
    """There is nothing to decide on."""

    reason = "NO_PART_OBJECTION"
    sentence = "No objection of an assisting unit waits to be decided on."


_MISSING: dict[Fact, type[NotNow]] = {
    Fact.EXTENSION_REQUESTED: NotRequested,
    Fact.DISSATISFIED: NobodyDissatisfied,
    Fact.REFUSAL_OPEN: NoRefusal,
    Fact.NOTHING_WAITS: InquiryWaits,
    Fact.PART_OPEN: NobodyAssists,
    Fact.PART_WAITS: NoPartWaits,
    Fact.PART_OBJECTED: NoPartObjection,
}
_BARRING: dict[Fact, type[NotNow]] = {
    Fact.EXTENDED: AlreadyExtended,
    Fact.EXTENSION_REQUESTED: AlreadyRequested,
    Fact.OBJECTED: AlreadyObjected,
    Fact.REFUSAL_OPEN: RefusalOpen,
}


class SamePerson(Exception):
    """Who took one step may not take the one that decides on it."""

    reason: ClassVar[str]
    """For programs."""


class SameAuthor(SamePerson):
    """The reviewer wrote the draft. Another person has to review it."""

    reason = "SAME_AUTHOR"

    def __init__(self, author: str) -> None:
        self.author = author
        super().__init__("The author of a draft may not review it. Ask another reviewer.")


class SameRequester(SamePerson):
    """Who asked for an extension may not decide on it."""

    reason = "SAME_REQUESTER"

    def __init__(self) -> None:
        super().__init__("Whoever asked for an extension may not decide on it. Ask another approver, or the desk.")


class SameObjector(SamePerson):
    """Who objected to an order may not decide on the objection."""

    reason = "SAME_OBJECTOR"

    def __init__(self) -> None:
        super().__init__(
            "Whoever objected to an order may not decide on the objection. Ask another person of the desk."
        )


class SameProposer(SamePerson):
    """Who proposed a refusal may not review it."""

    reason = "SAME_PROPOSER"

    def __init__(self) -> None:
        super().__init__("Whoever proposed a refusal may not review it. Ask another person of the desk.")


def legal_steps(
    state: State, facts: frozenset[Fact] | None = None, *, by_author: bool = False
) -> tuple[LegalStep, ...]:
    """The steps of offices that are legal in a state, in the table's order, with the roles that may take them.

    With `by_author` those of the author of an inquiry. Without `facts` those are among them that only some facts make
    possible.
    """
    return tuple(
        LegalStep(row.step, roles_of(row))
        for row in TABLE
        if row.source == state
        and OFFICES[row.step].by_author == by_author
        and (facts is None or _is_possible(row.step, facts))
    )


def roles_of(row: Transition) -> tuple[str, ...]:
    """The roles that take a step; of those that a unit takes, the desk alone while there is no such unit."""
    office = OFFICES[row.step]
    alone = row.source == State.REGISTERED and not office.by_author
    return tuple(role for role in office.roles if role == DESK or not alone)


def _is_possible(step: Step, facts: frozenset[Fact]) -> bool:
    return (step not in NEEDS or NEEDS[step] in facts) and not BARS.get(step, frozenset()) & facts


def advance(state: State, step: Step, facts: frozenset[Fact] | None = None) -> State:
    """The state after a step. Raises IllegalStep when the table has no such row, NotNow when a fact forbids it."""
    target = _TARGETS.get((state, step))
    if target is None:
        raise IllegalStep(state, step, facts)
    if facts is not None and not _is_possible(step, facts):
        if step in NEEDS:
            raise _MISSING[NEEDS[step]]
        raise next(_BARRING[fact] for fact in Fact if fact in BARS[step] & facts)
    return target


def check_reviewer(author: str, reviewer: str) -> None:
    """Raises SameAuthor when the reviewer wrote the draft."""
    if author == reviewer:
        raise SameAuthor(author)


def check_requester(requester: str, decider: str) -> None:
    """Raises SameRequester when the decider asked for the extension."""
    if requester == decider:
        raise SameRequester


def check_proposer(proposer: str, reviewer: str) -> None:
    """Raises SameProposer when the reviewer proposed the refusal."""
    if proposer == reviewer:
        raise SameProposer


def check_objector(objector: str, decider: str) -> None:
    """Raises SameObjector when the decider objected to the order."""
    if objector == decider:
        raise SameObjector


def reaches_as_lead(step: Step, *, desk: bool, units: Iterable[str], lead: str) -> bool:
    """Whether someone with these units may take the step: the desk always, others for the cases that they lead."""
    return desk or not OFFICES[step].lead_only or lead in set(units)
