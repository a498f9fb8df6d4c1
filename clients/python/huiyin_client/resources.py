"""What the API answers with, as it is in JSON. Written from the contracts by `make client-types`; change those instead.

A field that is empty, zero or false is left out of an answer: read with `get` what may be. Numbers of 64 bits and times
are texts. A newer server may answer with fields and values that are not here.
"""

from __future__ import annotations

from typing import Any, Literal, TypedDict

EventActivity = Literal[
    "EVENT_ACTIVITY_UNSPECIFIED", "EVENT_ACTIVITY_ACTIVE", "EVENT_ACTIVITY_COOLED", "EVENT_ACTIVITY_CLOSED"
]
EventHold = Literal["EVENT_HOLD_UNSPECIFIED", "EVENT_HOLD_OPEN", "EVENT_HOLD_ASSIGNED"]
RegroupingKind = Literal["KIND_UNSPECIFIED", "KIND_MERGE", "KIND_MOVE", "KIND_SPLIT"]
RegroupingState = Literal["STATE_UNSPECIFIED", "STATE_DONE", "STATE_PROPOSED", "STATE_ACCEPTED", "STATE_DISMISSED"]
SeriesForecastEvidence = Literal["EVIDENCE_UNSPECIFIED", "EVIDENCE_SUFFICIENT", "EVIDENCE_INSUFFICIENT"]
TopicModelState = Literal["STATE_UNSPECIFIED", "STATE_ACTIVE", "STATE_KEPT", "STATE_DISCARDED"]
Urgency = Literal["URGENCY_UNSPECIFIED", "URGENCY_ROUTINE", "URGENCY_SOON", "URGENCY_URGENT", "URGENCY_IMMEDIATE"]
AdmissionOutcome = Literal[
    "OUTCOME_UNSPECIFIED", "OUTCOME_ADMITTED", "OUTCOME_ROUTED", "OUTCOME_PASSED_ON", "OUTCOME_JOINED"
]
AdmissionState = Literal["STATE_UNSPECIFIED", "STATE_PROPOSED", "STATE_IN_FORCE", "STATE_RETURNED"]
AdmissionGroundKind = Literal["KIND_UNSPECIFIED", "KIND_EMERGENCY", "KIND_ROUTE", "KIND_PASS_ON"]
CaseExtension = Literal["EXTENSION_UNSPECIFIED", "EXTENSION_REQUESTED", "EXTENSION_GRANTED", "EXTENSION_REFUSED"]
CaseState = Literal[
    "STATE_UNSPECIFIED",
    "STATE_REGISTERED",
    "STATE_ASSIGNED",
    "STATE_ACCEPTED",
    "STATE_DRAFTED",
    "STATE_REVIEWED",
    "STATE_APPROVED",
    "STATE_PUBLISHED",
    "STATE_CLOSED",
    "STATE_MERGED",
    "STATE_OBJECTED",
]
ClockKind = Literal[
    "KIND_UNSPECIFIED", "KIND_ANSWER", "KIND_ACCEPTANCE", "KIND_FIRST_INFORMATION", "KIND_BRIEFING", "KIND_CONTRIBUTION"
]
ClockStage = Literal["STAGE_UNSPECIFIED", "STAGE_REMINDER", "STAGE_SUPERVISION", "STAGE_CIRCULAR"]
ClockState = Literal["STATE_UNSPECIFIED", "STATE_RUNNING", "STATE_PAUSED", "STATE_MET", "STATE_DROPPED"]
ClockExplanationStretchBasis = Literal["BASIS_UNSPECIFIED", "BASIS_OVERRIDE", "BASIS_CALENDAR", "BASIS_WEEKDAY"]
ClockExplanationStretchReason = Literal[
    "REASON_UNSPECIFIED",
    "REASON_WORKING_HOURS",
    "REASON_OUTSIDE_HOURS",
    "REASON_WEEKEND",
    "REASON_HOLIDAY",
    "REASON_PAUSED",
    "REASON_WALL_CLOCK",
]
ContactPersonRole = Literal[
    "ROLE_UNSPECIFIED", "ROLE_DUTY_OFFICER", "ROLE_APPROVING_LEADER", "ROLE_LIAISON", "ROLE_INSPECTOR"
]
FindingKind = Literal[
    "KIND_UNSPECIFIED",
    "KIND_PERSONAL_DATA",
    "KIND_ADDRESSED_BY_NAME",
    "KIND_OPEN_SLOT",
    "KIND_SAYS_NOTHING",
    "KIND_UNANSWERED_POINT",
    "KIND_NO_OFFICE",
    "KIND_UNNAMED_OFFICE",
    "KIND_NO_CONTACT",
    "KIND_EMPTY_PHRASE",
    "KIND_PROMISE_WITHOUT_DATE",
    "KIND_UNCLEARED_ATTACHMENT",
]
FindingPlace = Literal["PLACE_UNSPECIFIED", "PLACE_REPLY", "PLACE_PARAGRAPH", "PLACE_INQUIRY", "PLACE_ATTACHMENT"]
FindingSeverity = Literal["SEVERITY_UNSPECIFIED", "SEVERITY_REMARK", "SEVERITY_BLOCKING"]
InquiryChannel = Literal[
    "CHANNEL_UNSPECIFIED",
    "CHANNEL_ONLINE",
    "CHANNEL_TELEPHONE",
    "CHANNEL_COUNTER",
    "CHANNEL_BOARD",
    "CHANNEL_MOVED_IN",
    "CHANNEL_PARTNER",
]
InquiryFeedback = Literal["FEEDBACK_UNSPECIFIED", "FEEDBACK_SATISFIED", "FEEDBACK_DISSATISFIED"]
InquiryReturnPath = Literal[
    "RETURN_PATH_UNSPECIFIED", "RETURN_PATH_RECEIPT", "RETURN_PATH_MANUAL", "RETURN_PATH_WEBHOOK"
]
InquiryState = Literal["STATE_UNSPECIFIED", "STATE_RECEIVED", "STATE_IN_PROGRESS", "STATE_ANSWERED", "STATE_WITHDRAWN"]
MessageKind = Literal["KIND_UNSPECIFIED", "KIND_QUESTION", "KIND_ANSWER", "KIND_EXPLANATION", "KIND_ADDITION"]
OrderState = Literal["STATE_UNSPECIFIED", "STATE_IN_FORCE", "STATE_REPLACED", "STATE_TAKEN_BACK"]
PartState = Literal[
    "STATE_UNSPECIFIED", "STATE_WAITED", "STATE_OBJECTED", "STATE_CONTRIBUTED", "STATE_LAPSED", "STATE_RELEASED"
]
ReplyState = Literal[
    "STATE_UNSPECIFIED", "STATE_DRAFTED", "STATE_REVIEWED", "STATE_APPROVED", "STATE_PUBLISHED", "STATE_RETURNED"
]
RunningCaseOutcomeKind = Literal["KIND_UNSPECIFIED", "KIND_CREATED", "KIND_KNOWN", "KIND_ANSWER", "KIND_REFUSED"]
TaskKind = Literal[
    "KIND_UNSPECIFIED",
    "KIND_DELIVER_REPLY",
    "KIND_EVENTS_MERGED",
    "KIND_EVENT_SPLIT",
    "KIND_REPAIR_PROPOSED",
    "KIND_DISSATISFIED",
    "KIND_DELIVER_ADMISSION",
]
TaskState = Literal["STATE_UNSPECIFIED", "STATE_OPEN", "STATE_DONE"]
TextPieceChange = Literal["CHANGE_UNSPECIFIED", "CHANGE_SAME", "CHANGE_REMOVED", "CHANGE_ADDED"]
PostOutcomeKind = Literal["KIND_UNSPECIFIED", "KIND_CREATED", "KIND_UPDATED", "KIND_UNCHANGED"]
SourceKind = Literal["KIND_UNSPECIFIED", "KIND_FILE", "KIND_INBOX", "KIND_FEED", "KIND_PAGE_LIST", "KIND_API"]
SourceState = Literal["STATE_UNSPECIFIED", "STATE_ACTIVE", "STATE_PAUSED", "STATE_DISABLED"]
SourceHealthAlarm = Literal["ALARM_UNSPECIFIED", "ALARM_SILENT", "ALARM_FAILING"]
TrySourceResponseRobots = Literal["ROBOTS_UNSPECIFIED", "ROBOTS_ALLOWED", "ROBOTS_DISALLOWED"]
NotificationState = Literal["STATE_UNSPECIFIED", "STATE_PENDING", "STATE_SENT", "STATE_FAILED"]
Grade = Literal["GRADE_UNSPECIFIED", "GRADE_ORDINARY", "GRADE_LARGE", "GRADE_SERIOUS", "GRADE_ESPECIALLY_SERIOUS"]
Harm = Literal["HARM_UNSPECIFIED", "HARM_LIFE", "HARM_HEALTH", "HARM_LIVELIHOOD", "HARM_PROPERTY"]
Intent = Literal[
    "INTENT_UNSPECIFIED", "INTENT_COMPLAINT", "INTENT_HELP", "INTENT_QUESTION", "INTENT_SUGGESTION", "INTENT_THANKS"
]


class Operation(TypedDict, total=False):
    """Operation."""

    name: str
    metadata: dict[str, Any]
    done: bool
    error: OperationError
    response: dict[str, Any]


class OperationError(TypedDict, total=False):
    """OperationError."""

    code: int
    message: str
    details: list[dict[str, Any]]


class LatLng(TypedDict, total=False):
    """LatLng."""

    latitude: float
    longitude: float


class AnalyzeTextsResponse(TypedDict, total=False):
    """What was read of each text."""

    readings: list[Reading]


class Assessment(TypedDict, total=False):
    """A grade that explains itself: which rules fired, on which figures, what could not be judged, and who overrode
    it.
    """

    grade: Grade
    firedRules: list[FiredRule]
    figures: dict[str, float]
    policyVersion: int
    computedGrade: Grade
    gradeOverride: GradeOverride
    insufficientFigures: list[str]
    unjudgedRules: list[str]


class BatchUpdatePlacesResponse(TypedDict, total=False):
    """What was written."""

    places: list[Place]
    changed: int


class BatchUpdateTopicsResponse(TypedDict, total=False):
    """What was written."""

    topics: list[Topic]
    changed: int


class Burst(TypedDict, total=False):
    """A time in which posts came much faster than the event's own past let expect, found with what was known then."""

    startTime: str
    alarmTime: str
    endTime: str
    windowStartTime: str
    windowEndTime: str
    posts: str
    expectedPosts: float
    surprise: float


class CorrectTopicsResponse(TypedDict, total=False):
    """Response of CorrectTopics."""

    memberships: list[Membership]


class CountForecast(TypedDict, total=False):
    """A count that is forecast."""

    expected: float
    low: str
    high: str
    probability: float


class DeactivateTopicModelResponse(TypedDict, total=False):
    """Response of DeactivateTopicModel."""


class Event(TypedDict, total=False):
    """Posts that speak of one matter in one place."""

    name: str
    title: str
    topic: str
    place: str
    assessment: Assessment
    postCount: str
    inquiryCount: str
    firstPublishTime: str
    lastPublishTime: str
    createTime: str
    updateTime: str
    drill: bool
    hold: EventHold
    mergedInto: str
    splitFrom: str
    revision: str
    echoOf: str
    activity: EventActivity


class EventHit(TypedDict, total=False):
    """An event of which posts were found."""

    event: Event
    matchCount: int
    newest: MembershipHit


class ExplainAssessmentResponse(TypedDict, total=False):
    """Why an event has its grade, and what would change it."""

    assessment: Assessment
    missing: list[MissingEvidence]
    raising: list[GradeChange]
    lowering: list[GradeChange]
    overrides: list[GradeOverride]


class FigureChange(TypedDict, total=False):
    """A figure as it is and as it would be."""

    figure: str
    value: float
    requiredValue: float


class FiredRule(TypedDict, total=False):
    """A rule of the grading policy that fired."""

    rule: str
    grade: Grade
    explanation: str
    condition: str
    figures: dict[str, float]
    evidence: list[str]


class GetEventSeriesResponse(TypedDict, total=False):
    """How far an event reached, bucket by bucket."""

    event: str
    startTime: str
    endTime: str
    buckets: list[SeriesBucket]
    posts: str
    voiceDays: str
    sources: str
    engagement: str
    bursts: list[Burst]
    burstStatistic: str
    burstThreshold: float
    forecast: SeriesForecast
    media: str


class GetEventSummaryResponse(TypedDict, total=False):
    """What the posts of an event say, in sentences of theirs."""

    event: str
    sentences: list[SummarySentence]
    postsRead: int


class GetMembershipResponse(TypedDict, total=False):
    """A membership with what was read of its post."""

    membership: Membership
    reading: Reading


class GradeChange(TypedDict, total=False):
    """What would give an event another grade, all its other figures being what they are."""

    grade: Grade
    figures: list[FigureChange]


class GradeCount(TypedDict, total=False):
    """How many events have a grade."""

    grade: Grade
    count: int


class GradeOverride(TypedDict, total=False):
    """A person's decision on the grade of an event."""

    grade: Grade
    reason: str
    author: str
    createTime: str
    expireTime: str


class HarmReading(TypedDict, total=False):
    """A harm that a text describes."""

    harm: Harm
    words: list[str]


class Heat(TypedDict, total=False):
    """How hot an event is within a window, and why: heat = recent_voices × growth × harm."""

    heat: float
    voices: int
    recentVoices: float
    growth: float
    earlierVoices: int
    laterVoices: int
    harm: float
    gravestHarm: Harm
    harmedVoices: int


class HotEvent(TypedDict, total=False):
    """An event of the hot list."""

    event: Event
    heat: Heat


class HourForecast(TypedDict, total=False):
    """The posts of an hour to come."""

    startTime: str
    posts: CountForecast


class Membership(TypedDict, total=False):
    """A post's belonging to an event."""

    name: str
    event: str
    previousEvent: str
    post: str
    source: str
    externalId: str
    publishTime: str
    expectsAnswer: bool
    drill: bool
    subject: str
    text: str
    revision: str
    topic: str
    topicModel: str
    topicConfidence: float
    topicLow: bool
    topicCorrected: bool


class MembershipHit(TypedDict, total=False):
    """A post that was found."""

    membership: Membership
    event: Event
    subject: list[Piece]
    snippet: list[Piece]


class MissingEvidence(TypedDict, total=False):
    """A figure for which there is too little evidence."""

    figure: str
    requirement: str
    rules: list[str]


class Piece(TypedDict, total=False):
    """A part of a text that is shown."""

    text: str
    matches: bool


class Place(TypedDict, total=False):
    """A node of the gazetteer."""

    name: str
    displayName: str
    kind: str
    aliases: list[str]


class Reading(TypedDict, total=False):
    """What was read of a text, with the words that say so."""

    places: list[str]
    times: list[TimeReading]
    intent: Intent
    intentWords: list[str]
    harms: list[HarmReading]
    urgency: Urgency
    topic: TopicReading


class Regrading(TypedDict, total=False):
    """An event that would have another grade."""

    event: str
    previousGrade: Grade
    grade: Grade
    firedRules: list[str]
    unjudgedRules: list[str]


class Regrouping(TypedDict, total=False):
    """That posts came to belong to another event than they joined: by a person, by the analyzer's own repair, or
    proposed by it.
    """

    name: str
    kind: RegroupingKind
    state: RegroupingState
    event: str
    targetEvent: str
    posts: list[str]
    reason: str
    author: str
    createTime: str
    drill: bool


class SeriesBucket(TypedDict, total=False):
    """What an event got in one hour or one day."""

    startTime: str
    posts: str
    voices: str
    sources: str
    engagement: str
    media: str


class SeriesForecast(TypedDict, total=False):
    """How many posts the next 24 hours bring, if nothing new happens."""

    evidence: SeriesForecastEvidence
    method: str
    startTime: str
    hours: list[HourForecast]
    total: CountForecast


class SummarySentence(TypedDict, total=False):
    """A sentence of a post, as it stands there, masked."""

    text: str
    post: str
    publishTime: str


class TestPolicyResponse(TypedDict, total=False):
    """What a policy would do."""

    changes: list[Regrading]
    before: list[GradeCount]
    after: list[GradeCount]


class TimeReading(TypedDict, total=False):
    """A time that a text names."""

    text: str
    startTime: str
    endTime: str
    recurring: bool


class Topic(TypedDict, total=False):
    """A node of the taxonomy."""

    name: str
    displayName: str
    words: list[str]


class TopicCalibration(TypedDict, total=False):
    """How far confidence can be relied on."""

    bins: list[TopicReliabilityBin]
    expectedCalibrationError: float
    lowBelow: float
    lowShare: float
    accuracyOfLow: float
    accuracyOfOthers: float


class TopicConfusion(TypedDict, total=False):
    """What the texts of one label were told to be."""

    predicted: list[int]


class TopicCorrection(TypedDict, total=False):
    """What a person said of the topic of a post."""

    name: str
    membership: str
    event: str
    topic: str
    reason: str
    author: str
    createTime: str


class TopicLabelReport(TypedDict, total=False):
    """How one label was told."""

    label: str
    precision: float
    recall: float
    f1: float
    support: int


class TopicModel(TypedDict, total=False):
    """A model that tells topics, learnt from labelled texts and from people's corrections."""

    name: str
    state: TopicModelState
    createTime: str
    author: str
    report: TopicModelReport


class TopicModelReport(TypedDict, total=False):
    """What cross-validation found: every text was judged by a model that was fitted to the other folds."""

    texts: int
    skippedRows: int
    corrections: int
    dataHash: str
    folds: int
    macroF1: float
    accuracy: float
    labels: list[TopicLabelReport]
    confusion: list[TopicConfusion]
    calibration: TopicCalibration


class TopicReading(TypedDict, total=False):
    """What a text is about."""

    topic: str
    label: str
    levels: list[str]
    confidence: float
    low: bool
    model: str


class TopicReliabilityBin(TypedDict, total=False):
    """Predictions whose confidence is from `least` to below `most`."""

    least: float
    most: float
    count: int
    confidence: float
    accuracy: float


class Absence(TypedDict, total=False):
    """A time in which an account does not work."""

    account: str
    startTime: str
    endTime: str


class Admission(TypedDict, total=False):
    """What the desk decided on an inquiry before its case is assigned."""

    name: str
    outcome: AdmissionOutcome
    state: AdmissionState
    ground: str
    body: str
    text: str
    proposer: str
    reviewer: str
    proposeTime: str
    decideTime: str
    joinedCase: str


class AdmissionGround(TypedDict, total=False):
    """A ground of the catalogue in policies/admission."""

    id: str
    displayName: str
    kind: AdmissionGroundKind
    basis: str
    text: str


class Answer(TypedDict, total=False):
    """A question that was answered in the past, with its answer: every reply that was published, and what an office
    brought along.
    """

    name: str
    subject: str
    question: str
    text: str
    unitDisplayName: str
    publishTime: str
    externalId: str
    source: str
    reply: str


class AnswerHit(TypedDict, total=False):
    """A past answer that was found."""

    answer: Answer
    score: float
    share: float


class AssignmentProposal(TypedDict, total=False):
    """A lead unit, assisting units, and why."""

    leadUnit: str
    assistingUnits: list[str]
    reason: str
    entry: str
    reserved: bool


class Attachment(TypedDict, total=False):
    """A file beside an inquiry or an answer: JPEG, PNG, WebP or PDF, told by its content."""

    name: str
    fileName: str
    mediaType: str
    size: str
    sha256: str
    account: str
    createTime: str
    clearedBy: str
    clearTime: str
    readable: bool
    personalDataCount: int
    reply: str


class BatchCreateAnswersResponse(TypedDict, total=False):
    """What became of them."""

    created: int
    updated: int
    unchanged: int


class BatchOutcome(TypedDict, total=False):
    """What became of one case."""

    name: str
    etag: str
    state: CaseState
    title: str
    errorReason: str
    errorMessage: str


class BatchStepCasesResponse(TypedDict, total=False):
    """Response of BatchStepCases."""

    outcomes: list[BatchOutcome]
    totalSize: str


class BatchUpdateUnitsResponse(TypedDict, total=False):
    """What was written."""

    units: list[Unit]
    changed: int


class Case(TypedDict, total=False):
    """The handling of one event: its inquiries, assignments, clocks and replies."""

    name: str
    event: str
    state: CaseState
    grade: Grade
    title: str
    topic: str
    place: str
    leadUnit: str
    assistingUnits: list[str]
    suggestedUnit: str
    inquiryCount: str
    deadline: str
    extended: bool
    urgent: bool
    createTime: str
    updateTime: str
    assignTime: str
    publishTime: str
    closeTime: str
    predecessor: str
    mergedInto: str
    reply: str
    standingReply: str
    nextSteps: list[NextStep]
    drill: bool
    etag: str
    revision: str
    extension: CaseExtension
    objected: bool
    dissatisfiedCount: str
    openRefusalCount: str
    parts: list[Part]
    order: str
    orderNumber: str


class CaseFilter(TypedDict, total=False):
    """A filter of cases that somebody keeps by a name, for the own account or for a unit."""

    name: str
    displayName: str
    filter: str
    orderBy: str
    unit: str
    account: str
    updateTime: str


class CheckReplyResponse(TypedDict, total=False):
    """What there is to say of a text."""

    findings: list[Finding]


class Clock(TypedDict, total=False):
    """A time by which something is due: an inquiry's answer, the acceptance of an order, the first authoritative
    information on an event, a briefing.
    """

    name: str
    kind: ClockKind
    state: ClockState
    case: str
    inquiry: str
    unit: str
    supervisingUnit: str
    rule: str
    startTime: str
    deadline: str
    countedTime: str
    pauses: list[ClockPause]
    stage: ClockStage
    stageTime: str
    nextTime: str
    endTime: str
    speed: int
    title: str
    grade: Grade
    topic: str
    drill: bool
    revision: str


class ClockPause(TypedDict, total=False):
    """A time in which it stood still."""

    startTime: str
    endTime: str


class ClockExplanation(TypedDict, total=False):
    """Why a clock ends when it does."""

    clock: Clock
    rule: str
    stretches: list[ClockExplanationStretch]
    allowed: str
    passed: str
    left: str
    weekdayYears: list[int]
    timeZone: str


class ClockExplanationStretch(TypedDict, total=False):
    """A piece of its time."""

    startTime: str
    endTime: str
    counted: bool
    reason: ClockExplanationStretchReason
    basis: ClockExplanationStretchBasis
    notice: str


class CompareRepliesResponse(TypedDict, total=False):
    """What changed between two versions of a reply."""

    baseVersion: int
    version: int
    pieces: list[TextPiece]
    paragraphs: list[ParagraphChange]


class ContactPerson(TypedDict, total=False):
    """Somebody of a unit whom other offices turn to."""

    role: ContactPersonRole
    displayName: str
    telephone: str
    account: str


class CreatePartnerResponse(TypedDict, total=False):
    """A new partner and its secret."""

    partner: Partner
    secret: str


class DeleteAnswerResponse(TypedDict, total=False):
    """Response of DeleteAnswer."""


class DeleteCaseFilterResponse(TypedDict, total=False):
    """Response of DeleteCaseFilter."""


class Entry(TypedDict, total=False):
    """A step in the life of a case, linked to the one before it by its hash."""

    name: str
    number: str
    step: str
    actor: str
    time: str
    details: str
    textDigest: str
    previousHash: str
    hash: str
    note: str
    sentence: str


class ExplainClockResponse(TypedDict, total=False):
    """Why clocks end when they do."""

    clocks: list[ClockExplanation]
    leftOut: int


class FillReplyTemplateResponse(TypedDict, total=False):
    """A text to go on with."""

    text: str
    openSlots: list[str]


class Finding(TypedDict, total=False):
    """Something that a reply is told of before its review."""

    kind: FindingKind
    severity: FindingSeverity
    place: FindingPlace
    inquiry: str
    start: int
    end: int
    words: str
    why: str
    instead: str
    attachment: str


class FollowUpReceiptResponse(TypedDict, total=False):
    """Acknowledges a follow-up: an inquiry of its own, in a case that goes to the unit that answered."""

    receipt: str
    receiveTime: str
    deadline: str


class GiveFeedbackResponse(TypedDict, total=False):
    """Response of GiveFeedback."""


class ImportCasesResponse(TypedDict, total=False):
    """What became of the rows."""

    outcomes: list[RunningCaseOutcome]


class Inquiry(TypedDict, total=False):
    """A post that expects an answer."""

    name: str
    case: str
    post: str
    source: str
    externalId: str
    subject: str
    text: str
    channel: InquiryChannel
    state: InquiryState
    returnPath: InquiryReturnPath
    publishTime: str
    receiveTime: str
    deadline: str
    urgent: bool
    answerTime: str
    drill: bool
    revision: str
    publicConsent: bool
    follows: str
    reply: str
    messageCount: int
    question: str
    feedback: InquiryFeedback
    hasReceipt: bool
    admission: AdmissionOutcome
    admissionState: AdmissionState
    takenBy: str
    hasContact: bool
    attachmentCount: int
    location: LatLng
    deliverTime: str


class LikeDecision(TypedDict, total=False):
    """What desks decided in cases of the same topic."""

    leadUnit: str
    caseCount: int
    samePlaceCount: int
    cases: list[str]
    lastAssignTime: str
    objectionCount: int


class LookupReceiptResponse(TypedDict, total=False):
    """How the inquiry of a receipt stands."""

    state: InquiryState
    receiveTime: str
    deadline: str
    answers: list[PublishedAnswer]
    weekdayYears: list[int]
    messages: list[ReceiptMessage]
    feedback: InquiryFeedback
    feedbackUntil: str
    attachments: list[ShownAttachment]


class Message(TypedDict, total=False):
    """What an office and the author of an inquiry say to one another while the inquiry waits for its answer."""

    name: str
    kind: MessageKind
    text: str
    unit: str
    account: str
    createTime: str
    open: bool
    answers: str
    clockPaused: bool


class NextStep(TypedDict, total=False):
    """A step that is possible."""

    step: str
    roles: list[str]


class Order(TypedDict, total=False):
    """The written order (抄告单) by which units are told to deal with a case."""

    name: str
    number: str
    case: str
    issueTime: str
    office: str
    issuer: str
    leadUnit: str
    assistingUnits: list[str]
    state: OrderState
    replacedBy: str
    title: str
    topic: str
    place: str
    grade: Grade
    gradeReason: str
    acceptDeadline: str
    answerDeadline: str
    note: str
    basis: str
    acceptTime: str
    drill: bool
    inquiryCount: int
    inquiries: list[OrderedInquiry]
    units: list[OrderedUnit]
    officeDisplayName: str


class OrderedInquiry(TypedDict, total=False):
    """An inquiry that an order covers."""

    inquiry: str
    subject: str
    text: str
    receiveTime: str
    deadline: str
    state: InquiryState


class OrderedUnit(TypedDict, total=False):
    """A unit that an order is given to."""

    unit: str
    displayName: str
    contactPersons: list[ContactPerson]
    contributeDeadline: str


class ParagraphChange(TypedDict, total=False):
    """What changed in the paragraph for an inquiry."""

    inquiry: str
    pieces: list[TextPiece]


class Part(TypedDict, total=False):
    """The part of an order that an assisting unit has."""

    unit: str
    state: PartState
    objected: bool


class Partner(TypedDict, total=False):
    """A system of another body that passes inquiries on to us, each signed with the secret that we share: the
    platform of a hotline, the message board of a newspaper.
    """

    name: str
    displayName: str
    disabled: bool
    createTime: str
    updateTime: str
    rotateTime: str
    previousExpireTime: str
    etag: str
    callbackUrl: str


class PrepareInquiryResponse(TypedDict, total=False):
    """What is to be read back to the author."""

    subject: str
    text: str
    confirmation: str
    expireTime: str


class ProposeAssignmentResponse(TypedDict, total=False):
    """Whom a case might be assigned to."""

    proposals: list[AssignmentProposal]
    likeDecisions: list[LikeDecision]
    likeCaseCount: int
    version: int


class Publication(TypedDict, total=False):
    """A question and its answer as everybody may read them."""

    name: str
    subject: str
    question: str
    answer: str
    unitDisplayName: str
    unitContact: str
    publishTime: str
    attachments: list[ShownAttachment]


class PublishedAnswer(TypedDict, total=False):
    """An answer as its reader sees it."""

    text: str
    unitDisplayName: str
    publishTime: str
    paragraph: str
    unitContact: str
    attachments: list[ShownAttachment]


class ReadContactResponse(TypedDict, total=False):
    """A contact, for the step that it was read for."""

    contact: str


class ReceiptMessage(TypedDict, total=False):
    """A message as the author of the inquiry reads it."""

    kind: MessageKind
    text: str
    unitDisplayName: str
    createTime: str
    open: bool


class Reply(TypedDict, total=False):
    """An answer to a case's inquiries."""

    name: str
    state: ReplyState
    text: str
    unit: str
    author: str
    reviewer: str
    approver: str
    note: str
    createTime: str
    reviewTime: str
    approveTime: str
    publishTime: str
    version: int
    findings: list[Finding]
    paragraphs: list[ReplyParagraph]
    overridden: bool
    attachments: list[Attachment]


class ReplyParagraph(TypedDict, total=False):
    """What a reply says to the author of one inquiry alone, beneath what it says to all."""

    inquiry: str
    text: str


class ReplyTemplate(TypedDict, total=False):
    """A text to begin a reply with."""

    name: str
    displayName: str
    topics: list[str]
    intents: list[str]
    text: str
    slots: list[str]


class RotatePartnerSecretResponse(TypedDict, total=False):
    """The new secret of a partner."""

    partner: Partner
    secret: str


class RunningCaseOutcome(TypedDict, total=False):
    """What became of a row."""

    row: int
    kind: RunningCaseOutcomeKind
    inquiry: str
    field: str
    reason: str
    description: str


class SearchAnswersResponse(TypedDict, total=False):
    """Past answers, the most similar first."""

    hits: list[AnswerHit]
    searched: int
    total: int


class ShownAttachment(TypedDict, total=False):
    """An attachment as the author of an inquiry or the public sees it."""

    id: str
    fileName: str
    mediaType: str
    size: str


class StageCount(TypedDict, total=False):
    """How many clocks have come to a stage."""

    stage: ClockStage
    count: str


class SubmitInquiryResponse(TypedDict, total=False):
    """Acknowledges an inquiry."""

    receipt: str
    receiveTime: str
    deadline: str
    weekdayYears: list[int]


class SubmitPartnerInquiryResponse(TypedDict, total=False):
    """Acknowledges an inquiry that a partner passed on."""

    receipt: str
    receiveTime: str
    deadline: str
    weekdayYears: list[int]


class TakeOutAttachmentResponse(TypedDict, total=False):
    """Response of TakeOutAttachment."""


class Task(TypedDict, total=False):
    """Something that a person of the desk has to do or decide."""

    name: str
    kind: TaskKind
    state: TaskState
    case: str
    otherCase: str
    inquiry: str
    source: str
    externalId: str
    reply: str
    note: str
    createTime: str
    completeTime: str
    completer: str
    drill: bool
    revision: str
    event: str
    title: str
    grade: Grade
    unit: str
    regrouping: str


class TextPiece(TypedDict, total=False):
    """A stretch of two versions of a text."""

    change: TextPieceChange
    text: str


class Unit(TypedDict, total=False):
    """An office."""

    name: str
    displayName: str
    parent: str
    kind: str
    desk: bool
    places: list[str]
    topics: list[str]
    members: list[UnitMember]
    workingHours: list[str]
    timeZone: str
    standIns: list[str]
    absences: list[Absence]
    contact: str
    contactPersons: list[ContactPerson]


class UnitMember(TypedDict, total=False):
    """An account's work in a unit."""

    account: str
    roles: list[str]


class VerifyCaseResponse(TypedDict, total=False):
    """Whether a case's chain is whole."""

    intact: bool
    entries: str
    headHash: str
    problem: str


class WithdrawByReceiptResponse(TypedDict, total=False):
    """Response of WithdrawByReceipt."""


class WriteByReceiptResponse(TypedDict, total=False):
    """Acknowledges what an author wrote."""

    kind: MessageKind
    deadline: str


class Api(TypedDict, total=False):
    """How a JSON interface is read: expressions of JMESPath (jmespath.org), `items` and `next_page` over the whole
    answer, the others over one item.
    """

    items: str
    id: str
    subject: str
    text: str
    publishTime: str
    uri: str
    author: str
    likes: str
    dislikes: str
    replies: str
    shares: str
    views: str
    nextPage: str
    pageTemplate: str
    secondPage: int
    mostPages: int
    headers: list[ApiHeader]
    timeZone: str


class ApiHeader(TypedDict, total=False):
    """A header that goes with each request to the host of the source, and with none to another host."""

    name: str
    value: str
    secret: str


class BatchCreatePostsResponse(TypedDict, total=False):
    """What became of each post, in the order of the request."""

    outcomes: list[PostOutcome]


class DeliverPostsResponse(TypedDict, total=False):
    """What became of the posts of a delivery."""

    created: int
    updated: int
    unchanged: int


class ExportOpmlResponse(TypedDict, total=False):
    """The feeds of all sources."""

    opml: str


class ImportOpmlResponse(TypedDict, total=False):
    """What became of the feeds of an OPML document."""

    sources: list[str]
    created: int
    known: int
    refused: list[str]


class PageList(TypedDict, total=False):
    """How a list of articles is read, and the articles."""

    itemSelector: str
    itemPattern: str
    nextSelector: str
    pageTemplate: str
    secondPage: int
    mostPages: int
    titleSelector: str
    textSelector: str
    timeSelector: str
    timeZone: str


class Post(TypedDict, total=False):
    """One public text at one time from one source."""

    name: str
    source: str
    externalId: str
    subject: str
    text: str
    publishTime: str
    collectTime: str
    uri: str
    reach: PostReach
    expectsAnswer: bool
    drill: bool
    author: str
    voice: str
    revision: str
    held: bool
    carriedBy: list[str]
    location: LatLng


class PostOutcome(TypedDict, total=False):
    """What became of one post."""

    post: str
    kind: PostOutcomeKind


class PostReach(TypedDict, total=False):
    """How far a post reached, as its source publishes it; 0 where it does not."""

    likes: str
    dislikes: str
    replies: str
    shares: str
    views: str


class PostSeries(TypedDict, total=False):
    """How the reach of a post grew."""

    name: str
    points: list[PostSeriesPoint]


class PostSeriesPoint(TypedDict, total=False):
    """What its source said at one time."""

    time: str
    reach: PostReach


class RotateSourceSecretResponse(TypedDict, total=False):
    """The new secret of a source."""

    source: str
    secret: str
    previousExpireTime: str


class Source(TypedDict, total=False):
    """Where posts come from."""

    name: str
    displayName: str
    kind: SourceKind
    expectsAnswer: bool
    area: str
    createTime: str
    updateTime: str
    etag: str
    uri: str
    state: SourceState
    pageList: PageList
    api: Api


class SourceHealth(TypedDict, total=False):
    """How the visits of a source go, told without touching it."""

    name: str
    state: SourceState
    uri: str
    nextVisitTime: str
    lastVisitTime: str
    lastSuccessTime: str
    lastItemTime: str
    errorStreak: int
    errorReason: str
    errorMessage: str
    itemsADay: float
    itemsTotal: str
    itemsPassedOver: int
    displayName: str
    alarm: SourceHealthAlarm
    alarmTime: str
    longestPauseDays: float
    revision: str
    articlesWaiting: int
    articlesBroken: int


class TrySourceResponse(TypedDict, total=False):
    """What a visit would bring."""

    robots: TrySourceResponseRobots
    crawlDelaySeconds: float
    uri: str
    format: str
    title: str
    items: list[TrySourceResponseItem]
    itemsTotal: int
    itemsPassedOver: int
    feeds: list[str]
    errorReason: str
    errorMessage: str


class TrySourceResponseItem(TypedDict, total=False):
    """An item as it would be kept, masked."""

    externalId: str
    subject: str
    text: str
    publishTime: str
    uri: str


class Account(TypedDict, total=False):
    """Someone or something that may sign in."""

    name: str
    displayName: str
    roles: list[str]
    createTime: str


class ApiKey(TypedDict, total=False):
    """A secret that signs an account in: sent as "Authorization: Bearer …"."""

    name: str
    displayName: str
    secret: str
    createTime: str
    expireTime: str


class ServiceStatus(TypedDict, total=False):
    """How one service is."""

    service: str
    serving: bool
    heldOff: bool
    feeds: list[FollowedFeed]


class Status(TypedDict, total=False):
    """How the parts are."""

    serving: bool
    version: str
    services: list[ServiceStatus]


class StreamChangesResponse(TypedDict, total=False):
    """One change of any service."""

    service: str
    change: Change
    cursor: str


class Attempt(TypedDict, total=False):
    """One attempt to send."""

    time: str
    accepted: bool
    problem: str


class Notification(TypedDict, total=False):
    """One message to one receiver about one cause: a change that somebody should know of."""

    name: str
    state: NotificationState
    receiver: str
    channel: str
    cause: str
    case: str
    unit: str
    grade: Grade
    title: str
    group: str
    attempts: list[Attempt]
    createTime: str
    dueTime: str
    sendTime: str
    drill: bool
    revision: str


class Change(TypedDict, total=False):
    """One change of one resource, written in the transaction of the state that it describes."""

    sequence: str
    kind: str
    name: str
    revision: str
    commitTime: str
    drill: bool
    resource: dict[str, Any]


class FollowedFeed(TypedDict, total=False):
    """How far a consumer is with a feed."""

    feed: str
    lag: str
    setAside: str


class Policy(TypedDict, total=False):
    """A rule book that an operator may change without a release: grading, clocks, routes."""

    name: str
    body: str
    version: int
    author: str
    createTime: str
    etag: str
