"""The analyzer's gRPC service, one file a kind of resource."""

from __future__ import annotations

from huiyin.analyzer.v1 import analyzer_service_pb2_grpc
from huiyin_chassis.feed import Feed
from huiyin_chassis.policies import Policies

from huiyin_analyzer.readers import Readers
from huiyin_analyzer.service.assessments import AssessmentMethods
from huiyin_analyzer.service.heat import HeatMethods
from huiyin_analyzer.service.policies import PolicyMethods
from huiyin_analyzer.service.reach import ReachMethods
from huiyin_analyzer.service.readings import ReadingMethods
from huiyin_analyzer.service.regroupings import RegroupingMethods
from huiyin_analyzer.service.search import SearchMethods
from huiyin_analyzer.service.summaries import SummaryMethods
from huiyin_analyzer.service.topic_models import TopicModelMethods
from huiyin_analyzer.service.topics import TopicMethods
from huiyin_analyzer.service.trees import TreeMethods
from huiyin_analyzer.store import AnalyzerStore
from huiyin_analyzer.trainings import Trainings


class AnalyzerServicer(
    AssessmentMethods,
    ReachMethods,
    RegroupingMethods,
    SummaryMethods,
    HeatMethods,
    ReadingMethods,
    SearchMethods,
    TreeMethods,
    PolicyMethods,
    TopicModelMethods,
    TopicMethods,
    analyzer_service_pb2_grpc.AnalyzerServiceServicer,
):
    """Every method of the contract."""

    def __init__(
        self,
        store: AnalyzerStore,
        feed: Feed,
        policies: Policies,
        trainings: Trainings | None = None,
        readers: Readers | None = None,
    ) -> None:
        self._store = store
        self._feed = feed
        self._policies = policies
        self._trainings = trainings or Trainings(store)
        self._readers = readers or Readers()
