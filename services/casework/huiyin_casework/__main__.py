"""Wires casework together: python -m huiyin_casework [serve|migrate]."""

from __future__ import annotations

from pathlib import Path

from huiyin.analyzer.v1.analyzer_service_pb2_grpc import AnalyzerServiceStub
from huiyin.analyzer.v1.event_pb2 import WatchEventsRequest
from huiyin.casework.v1 import casework_service_pb2
from huiyin.casework.v1.casework_service_pb2_grpc import add_CaseworkServiceServicer_to_server
from huiyin.collector.v1.collector_service_pb2_grpc import CollectorServiceStub
from huiyin_chassis import client, process
from huiyin_chassis.consumer import Consumer
from huiyin_chassis.identity import Signer
from huiyin_chassis.migrate import migrate
from huiyin_chassis.outbox import Dispatcher
from huiyin_chassis.policies import Policies
from huiyin_chassis.server import Server, Service
from huiyin_chassis.store import Tx

from huiyin_casework import offices
from huiyin_casework.casefile import Rules
from huiyin_casework.config import CaseworkSettings
from huiyin_casework.secrets import Secrets
from huiyin_casework.service import CaseworkServicer, check_clocks
from huiyin_casework.store import MIGRATIONS, CaseworkStore
from huiyin_casework.worker import ContactDestroyer, Following, Outbox, relist

_CLOCKS = Path(__file__).parent / "data" / "clocks.yaml"


async def serve(settings: CaseworkSettings) -> None:
    """Serves until it is told to stop."""
    store = CaseworkStore(settings.database_url)
    await store.open()
    signer = Signer("casework", settings.key_file)
    policies = Policies({"clocks": check_clocks})

    def seed(tx: Tx) -> None:
        policies.seed(tx, "clocks", _CLOCKS.read_text("utf-8"))
        offices.seed(tx)

    await store.write(seed)
    collector = CollectorServiceStub(client.connect(settings.collector_address))
    analyzer = AnalyzerServiceStub(client.connect(settings.analyzer_address))
    rules = Rules(policies)
    consumer = Consumer(
        store,
        "analyzer.events",
        watch=lambda cursor: analyzer.WatchEvents(
            WatchEventsRequest(cursor=cursor), metadata=client.metadata(signer.own_token())
        ),
        apply=Following(rules).apply,
        relist=relist,
    )
    dispatcher = Dispatcher(store, Outbox(collector, analyzer, signer).handlers)
    server = Server(
        "casework",
        settings,
        [
            Service(
                casework_service_pb2.DESCRIPTOR.services_by_name["CaseworkService"],
                add_CaseworkServiceServicer_to_server,
                CaseworkServicer(store, policies, rules, Secrets(settings.secrets)),
            )
        ],
    )
    workers = {"events": consumer.run, "outbox": dispatcher.run, "contacts": ContactDestroyer(store, rules).run}
    await server.run(workers, store)


if __name__ == "__main__":
    process.main("casework", CaseworkSettings, serve, lambda settings: migrate(settings.database_url, MIGRATIONS))
