"""Casework's gRPC service, one file a kind of resource."""

from __future__ import annotations

from huiyin.casework.v1 import casework_service_pb2_grpc
from huiyin_chassis.feed import Feed
from huiyin_chassis.policies import Policies

from huiyin_casework.partners import CallbackRules
from huiyin_casework.pastanswers import AnswerSearch
from huiyin_casework.rules import Rules
from huiyin_casework.secrets import Secrets
from huiyin_casework.service.admission import AdmissionMethods
from huiyin_casework.service.answers import AnswerMethods
from huiyin_casework.service.attachments import Attaching, AttachmentMethods
from huiyin_casework.service.bulk import BulkMethods
from huiyin_casework.service.casefilters import CaseFilterMethods
from huiyin_casework.service.cases import CaseMethods
from huiyin_casework.service.clocks import ClockMethods
from huiyin_casework.service.contacts import ContactMethods
from huiyin_casework.service.dispatch import DispatchMethods
from huiyin_casework.service.inquiries import InquiryMethods
from huiyin_casework.service.messages import MessageMethods
from huiyin_casework.service.moving import MovingMethods
from huiyin_casework.service.orders import OrderMethods
from huiyin_casework.service.partners import PartnerMethods
from huiyin_casework.service.policies import PolicyMethods
from huiyin_casework.service.publications import PublicationMethods
from huiyin_casework.service.replies import ReplyMethods
from huiyin_casework.service.tasks import TaskMethods
from huiyin_casework.service.templates import TemplateMethods
from huiyin_casework.service.units import UnitMethods
from huiyin_casework.store import CaseworkStore


class CaseworkServicer(
    InquiryMethods,
    AdmissionMethods,
    DispatchMethods,
    MessageMethods,
    ContactMethods,
    AttachmentMethods,
    BulkMethods,
    CaseFilterMethods,
    CaseMethods,
    OrderMethods,
    ReplyMethods,
    ClockMethods,
    TemplateMethods,
    AnswerMethods,
    MovingMethods,
    PublicationMethods,
    TaskMethods,
    PartnerMethods,
    UnitMethods,
    PolicyMethods,
    casework_service_pb2_grpc.CaseworkServiceServicer,
):
    """Every method of the contract."""

    def __init__(
        self,
        store: CaseworkStore,
        feed: Feed,
        policies: Policies,
        rules: Rules,
        secrets: Secrets,
        answers: AnswerSearch,
        attaching: Attaching,
        callbacks: CallbackRules,
    ) -> None:
        self._store = store
        self._feed = feed
        self._policies = policies
        self._rules = rules
        self._secrets = secrets
        self._answers = answers
        self._attaching = attaching
        self._callbacks = callbacks
