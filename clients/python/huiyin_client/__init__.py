"""A client of Huiyin's HTTP API: `Client`, and `AsyncClient` with the same methods to be awaited."""

from huiyin_client.asynchronous import AsyncClient
from huiyin_client.blocking import Client
from huiyin_client.changes import Change
from huiyin_client.problems import Json, Problem, Violation

__all__ = ["AsyncClient", "Change", "Client", "Json", "Problem", "Violation"]
