"""The verbs of observability: store what the spool holds (`TraceIngest`, in the worker), take what clients send
(`Receiving`) and read it back (`Traces`), in the server."""

from octavo_server.traces.service.ingest import GATEWAY_KIND, TraceIngest
from octavo_server.traces.service.reading import Rows, Search, Traces
from octavo_server.traces.service.receiving import Receiving

__all__ = ["GATEWAY_KIND", "Receiving", "Rows", "Search", "TraceIngest", "Traces"]
