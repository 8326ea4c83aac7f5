"""``GET /metrics``: the figures of this process in Prometheus' text format, for who has the operator's token."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from callbot.server.access import Access
from callbot.server.host import CallHost

PATH = "/metrics"


class HostFigures(Collector):
    """What a host knows of itself, read when it is asked for."""

    def __init__(self, host: CallHost) -> None:
        self._host = host
        self.deliveries_waiting: int | None = None
        """None: the store could not be asked."""

    def collect(self) -> Iterator[Metric]:
        """The families, with their values of this moment."""
        host, writer, courier = self._host, self._host.writer, self._host.courier
        incidents = CounterMetricFamily(
            "callbot_incidents", "What this process refused, lost, resumed or failed at.", labels=["incident"]
        )
        for name, count in list(host.counts.items()):
            incidents.add_metric([name], count)
        yield incidents
        for name, text, value in (
            ("callbot_calls_in_progress", "Calls on a stream of this process.", len(host.running)),
            ("callbot_calls_limit", "Most calls at once: --max-calls.", host.options.max_calls),
            ("callbot_draining", "1 while no new calls are taken.", int(host.draining)),
            ("callbot_writer_backlog", "Entries of calls that wait for the database.", writer.backlog),
        ):
            yield GaugeMetricFamily(name, text, value)
        for name, text, value in (
            ("callbot_late_commits", "Turns that were committed late.", writer.late),
            (
                "callbot_failed_commits",
                "Commits that the database refused; each is tried again.",
                writer.failures,
            ),
            ("callbot_deliveries_failed", "Attempts to deliver a lead that failed.", courier.failures),
            ("callbot_deliveries_given_up", "Leads that were given up.", courier.given_up),
        ):
            yield CounterMetricFamily(name, text, value)
        if self.deliveries_waiting is not None:
            yield GaugeMetricFamily(
                "callbot_deliveries_waiting",
                "Leads that are still to be delivered, in the whole store: take the maximum of all replicas.",
                self.deliveries_waiting,
            )


def figures(host: CallHost, access: Access) -> list[BaseRoute]:
    """The routes: none without a token."""
    if not access.exists:
        return []
    own = HostFigures(host)
    host.metrics.registry.register(own)

    async def show(request: Request) -> Response:
        if not access.by_header(request):
            return PlainTextResponse("unauthorized", 401, {"WWW-Authenticate": "Bearer"})
        own.deliveries_waiting = await host.deliveries_waiting()
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        body = await asyncio.to_thread(encode, host.metrics.registry)
        return Response(body, headers={"Content-Type": content_type})

    return [Route(PATH, show, methods=["GET"])]
