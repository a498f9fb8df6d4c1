"""The contracts carry nobody who speaks: no identity, no profile, no score, no viewpoint.

Every name in them is read word by word. A word that could stand for such a thing needs an entry in ALLOWED that says
what it stands for; an entry that nothing needs any more is a mistake too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from google.api import field_behavior_pb2
from google.protobuf.descriptor import EnumDescriptor
from huiyin.collector.v1 import post_pb2

from tests.contract.walking import behaves, files, is_output, messages, methods

IDENTITY = """author authors user users username nickname nick avatar persona identity identities ip device imei mac
fingerprint cookie agent session gender sex age birth birthday ethnicity race religion party occupation employer phone
telephone mobile email mail wechat qq account accounts contact contacts
passport latitude longitude location residence"""
PROFILE = """profile profiles follower followers fan fans friend friends influencer leader leaders kol score credit rank
risk reputation trust loyalty blacklist whitelist watchlist suspect activist petitioner repeat habit history
speaker speakers poster writer commenter person persons people citizen citizens individual voice voices"""
VIEWPOINT = """sentiment sentiments emotion emotions mood polarity stance attitude opinion opinions viewpoint viewpoints
ideology political tone positive negative hostile supportive favourable favorable critical criticism approval"""
MUZZLE = "takedown censor block blocked mute muted ban banned silence suppress"
WORDS = frozenset(f"{IDENTITY} {PROFILE} {VIEWPOINT} {MUZZLE}".split())

OFFICER = "the account of an officer who did it"
OFFICE = "how an office is reached"
COUNT = "a number of voices within days, from hashes whose keys are destroyed within 48 hours"
ASKED = "how who asked wishes to be told the answer: encrypted, read for a named step only, each reading recorded"
KEEPER = "accounts of those who work here"
MATTER = "where the matter is, if who asks says so"

ALLOWED = {
    "huiyin.analyzer.v1.GetEventSeriesResponse.voice_days": COUNT,
    "huiyin.analyzer.v1.Heat.earlier_voices": COUNT,
    "huiyin.analyzer.v1.Heat.harmed_voices": COUNT,
    "huiyin.analyzer.v1.Heat.later_voices": COUNT,
    "huiyin.analyzer.v1.Heat.recent_voices": COUNT,
    "huiyin.analyzer.v1.Heat.voices": COUNT,
    "huiyin.analyzer.v1.SeriesBucket.voices": COUNT,
    "huiyin.analyzer.v1.GradeOverride.author": OFFICER,
    "huiyin.analyzer.v1.Regrouping.author": OFFICER,
    "huiyin.analyzer.v1.TopicCorrection.author": OFFICER,
    "huiyin.analyzer.v1.TopicModel.author": OFFICER,
    "huiyin.casework.v1.Absence.account": KEEPER,
    "huiyin.casework.v1.AnswerHit.score": "how well a past answer fits, of a text",
    "huiyin.casework.v1.AskAuthorRequest": "the way from an office to who asked, by the inquiry alone",
    "huiyin.casework.v1.CaseworkService.AskAuthor": "the same",
    "huiyin.casework.v1.TellAuthorRequest": "the same",
    "huiyin.casework.v1.CaseworkService.TellAuthor": "the same",
    "huiyin.casework.v1.Attachment.account": OFFICER,
    "huiyin.casework.v1.CaseFilter.account": KEEPER,
    "huiyin.casework.v1.CaseworkService.ReadContact": ASKED,
    "huiyin.casework.v1.ReadContactRequest": ASKED,
    "huiyin.casework.v1.ReadContactResponse": ASKED,
    "huiyin.casework.v1.ReadContactResponse.contact": ASKED,
    "huiyin.casework.v1.ContactPurpose": ASKED,
    "huiyin.casework.v1.PartnerInquiry.contact": ASKED,
    "huiyin.casework.v1.RunningCase.contact": ASKED,
    "huiyin.casework.v1.SubmitInquiryRequest.contact": ASKED,
    "huiyin.casework.v1.Inquiry.has_contact": "whether something was left, never what",
    "huiyin.casework.v1.ContactPerson": OFFICE,
    "huiyin.casework.v1.ContactPerson.account": OFFICE,
    "huiyin.casework.v1.ContactPerson.telephone": OFFICE,
    "huiyin.casework.v1.ContactPerson.Role.ROLE_APPROVING_LEADER": "the head of an office who approves",
    "huiyin.casework.v1.OrderedUnit.contact_persons": OFFICE,
    "huiyin.casework.v1.Unit.contact_persons": OFFICE,
    "huiyin.casework.v1.Unit.contact": OFFICE,
    "huiyin.casework.v1.Publication.unit_contact": OFFICE,
    "huiyin.casework.v1.PublishedAnswer.unit_contact": OFFICE,
    "huiyin.casework.v1.Finding.Kind.KIND_NO_CONTACT": OFFICE,
    "huiyin.casework.v1.Inquiry.Channel.CHANNEL_TELEPHONE": "a way in, not a number",
    "huiyin.casework.v1.Inquiry.location": MATTER,
    "huiyin.casework.v1.PartnerInquiry.location": MATTER,
    "huiyin.casework.v1.SubmitInquiryRequest.location": MATTER,
    "huiyin.casework.v1.LookupReachRequest.account": KEEPER,
    "huiyin.casework.v1.Message.account": OFFICER,
    "huiyin.casework.v1.Reply.author": OFFICER,
    "huiyin.casework.v1.UnitMember.account": KEEPER,
    "huiyin.collector.v1.Api.author": "where an answer has what becomes Post.author, and is dropped as that is",
    "huiyin.collector.v1.Post.author": "comes in with a post, is dropped before the first write, and never goes out",
    "huiyin.collector.v1.Post.location": MATTER,
    "huiyin.collector.v1.Post.voice": "a hash under the key of a day; nothing is found by it",
    "huiyin.gateway.v1.Account": KEEPER,
    "huiyin.gateway.v1.CreateAccountRequest": KEEPER,
    "huiyin.gateway.v1.CreateAccountRequest.account": KEEPER,
    "huiyin.gateway.v1.CreateAccountRequest.account_id": KEEPER,
    "huiyin.gateway.v1.GatewayService.CreateAccount": KEEPER,
    "huiyin.gateway.v1.GatewayService.GetAccount": KEEPER,
    "huiyin.gateway.v1.GatewayService.ListAccounts": KEEPER,
    "huiyin.gateway.v1.GetAccountRequest": KEEPER,
    "huiyin.gateway.v1.ListAccountsRequest": KEEPER,
    "huiyin.gateway.v1.ListAccountsResponse": KEEPER,
    "huiyin.gateway.v1.ListAccountsResponse.accounts": KEEPER,
    "huiyin.type.v1.ErrorReason.ERROR_REASON_CONTACT_UNREADABLE": ASKED,
    "huiyin.type.v1.ErrorReason.ERROR_REASON_NO_CONTACT": ASKED,
    "huiyin.type.v1.ErrorReason.ERROR_REASON_REPLY_BLOCKED": "the office's own draft, held back by its checks",
    "huiyin.type.v1.ErrorReason.ERROR_REASON_SAME_AUTHOR": OFFICER,
    "huiyin.type.v1.ErrorReason.ERROR_REASON_VOICE_KEYS_UNUSABLE": "an operator is told of a folder",
    "huiyin.type.v1.Policy.author": OFFICER,
}
"""What a name with such a word stands for."""


def names() -> Iterator[tuple[str, str]]:
    """Every name in the contracts, whole and by itself. Values of an enum stand without its prefix."""

    def of_enum(enum: EnumDescriptor) -> Iterator[tuple[str, str]]:
        yield enum.full_name, enum.name
        prefix = "_".join(words(enum.name)).upper() + "_"
        for value in enum.values:
            yield f"{enum.full_name}.{value.name}", value.name.removeprefix(prefix).lower()

    for message in messages():
        yield message.full_name, message.name
        for field in message.fields:
            yield field.full_name, field.name
        for enum in message.enum_types:
            yield from of_enum(enum)
    for file in files():
        for enum in file.enum_types_by_name.values():
            yield from of_enum(enum)
    for _, method in methods():
        yield method.full_name, method.name


def words(name: str) -> list[str]:
    """The words of a name, snake_case or CamelCase."""
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+", name)]


def test_no_name_stands_for_who_speaks_or_for_what_they_think() -> None:
    suspicious = {whole for whole, own in names() if WORDS & set(words(own))}
    assert suspicious - ALLOWED.keys() == set(), "say in ALLOWED what it stands for, or leave it out"
    assert ALLOWED.keys() - suspicious == set(), "nothing needs these entries any more"


def test_the_lint_finds_what_it_is_for() -> None:
    for name in (
        "AuthorProfile",
        "posted_ip",
        "sentiment_score",
        "ListOpinionLeaders",
        "user_agent",
        "RequestTakedown",
    ):
        assert WORDS & set(words(name)), name
    assert not WORDS & set(words("ListCases"))


def test_who_wrote_a_post_comes_in_and_never_goes_out() -> None:
    post = post_pb2.Post.DESCRIPTOR.fields_by_name
    assert behaves(post["author"], field_behavior_pb2.INPUT_ONLY)
    assert is_output(post["voice"])
