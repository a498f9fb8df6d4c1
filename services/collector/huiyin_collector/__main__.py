"""`python -m huiyin_collector` serves; `python -m huiyin_collector migrate` brings the store up to date."""

from __future__ import annotations

from huiyin.collector.v1 import collector_service_pb2, collector_service_pb2_grpc
from huiyin_chassis import process
from huiyin_chassis.addresses import is_public
from huiyin_chassis.feed import Feed
from huiyin_chassis.migrate import migrate
from huiyin_chassis.operations import Operations
from huiyin_chassis.sealing import Seal
from huiyin_chassis.server import Server, Service, Worker

from huiyin_collector.config import CollectorSettings
from huiyin_collector.fetching import Agent, Fetcher, Limits
from huiyin_collector.imports import Importer
from huiyin_collector.intake import Intake
from huiyin_collector.looking import Looker
from huiyin_collector.looking.secrets import Secrets
from huiyin_collector.model.schedule import Bounds
from huiyin_collector.pacing import Hosts, Pace
from huiyin_collector.service import CollectorServicer, Visiting
from huiyin_collector.store import MIGRATIONS, CollectorStore
from huiyin_collector.voices import VoiceKeys
from huiyin_collector.worker.keeping import Keeper
from huiyin_collector.worker.visiting import Visitor


async def wire(settings: CollectorSettings) -> tuple[Server, dict[str, Worker], CollectorStore]:
    """The server, its background loops and its open store."""
    voices = VoiceKeys(settings.voice_keys)
    store = CollectorStore(settings.database_url)
    await store.open()
    operations = Operations(store)
    await operations.recover()
    feed, intake = Feed(store), Intake(voices)
    importer = Importer(store, operations, intake)
    fetcher = _fetcher(settings)
    looker = Looker(fetcher, intake, store, Secrets(settings.source_secrets))
    bounds = Bounds(settings.visit_floor, max(settings.visit_ceiling, settings.visit_floor))
    pace = Pace(settings.visits_at_once, settings.host_at_once, settings.host_pause)
    hosts = Hosts(fetcher, pace)
    # A request may fetch a robots.txt and follow redirects, each of which may take its time.
    visitor = Visitor(store, fetcher, looker, hosts, bounds, pace, 6 * settings.fetch_seconds)
    visiting = Visiting(fetcher, looker, hosts, visitor.wake)
    seal = Seal(settings.secrets / "source.key")
    servicer = CollectorServicer(store, feed, operations, intake, seal, importer, visiting, settings.import_bytes)
    service = Service(
        collector_service_pb2.DESCRIPTOR.services_by_name["CollectorService"],
        collector_service_pb2_grpc.add_CollectorServiceServicer_to_server,
        servicer,
    )
    keeper = Keeper(store, feed, operations, voices, settings.retention_days)
    workers: dict[str, Worker] = {
        "imports": importer.run,
        "voice-keys": keeper.keep_keys,
        "retention": keeper.keep_posts,
        "visits": visitor.run,
    }
    return Server("collector", settings, [service]), workers, store


def _fetcher(settings: CollectorSettings) -> Fetcher:
    limits = Limits(
        min(10.0, settings.fetch_seconds),
        min(20.0, settings.fetch_seconds),
        settings.fetch_seconds,
        settings.fetch_bytes,
    )
    permitted = (lambda _: True) if settings.allow_private_sources else is_public
    agent = Agent(settings.agent, settings.user_agent)
    return Fetcher(agent, limits, permitted=permitted, connections=2 * settings.visits_at_once)


async def serve(settings: CollectorSettings) -> None:
    """Serves until it is told to stop."""
    server, workers, store = await wire(settings)
    await server.run(workers, store)


if __name__ == "__main__":
    process.main("collector", CollectorSettings, serve, lambda settings: migrate(settings.database_url, MIGRATIONS))
