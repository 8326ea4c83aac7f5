# syntax=docker/dockerfile:1
# callbot serve, without root. Behind something that ends TLS; see "From a Twilio account to the first call"
# in README.md.
#   docker build -t callbot .
#   docker run --env-file serve.env -p 8080:8080 -v ./prompts:/srv/callbot/prompts:ro \
#     -v callbot-data:/srv/callbot/data -v callbot-recordings:/srv/callbot/recordings \
#     --stop-timeout 700 callbot
# serve.env holds the keys, and what serve is started with: CALLBOT_PUBLIC_URL, CALLBOT_TTS, CALLBOT_STT.
# The named volumes keep calls, leads and recordings when a new version's container takes the old one's place.

FROM python:3.12-slim AS build
WORKDIR /build
RUN python -m venv /opt/callbot
COPY pyproject.toml README.md LICENSE ./
COPY callbot ./callbot
# The GPL voices (espeak, hebrew) are left out: build with --build-arg EXTRAS=serve,speech,postgres,hebrew
ARG EXTRAS=serve,speech,postgres
RUN /opt/callbot/bin/pip install --no-cache-dir ".[${EXTRAS}]"

FROM python:3.12-slim
RUN useradd --system --uid 10001 --no-create-home --home-dir /srv/callbot --shell /usr/sbin/nologin callbot \
    && install -d -o callbot -g callbot /srv/callbot /srv/callbot/recordings /srv/callbot/data
COPY --from=build /opt/callbot /opt/callbot
ENV PATH=/opt/callbot/bin:$PATH PYTHONUNBUFFERED=1 \
    CALLBOT_DATABASE=sqlite:////srv/callbot/data/callbot.db
WORKDIR /srv/callbot
USER 10001
VOLUME ["/srv/callbot/recordings", "/srv/callbot/data"]
EXPOSE 8080
# The first SIGTERM drains for up to --drain seconds: give the container as long before it is killed.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8080/healthz', timeout=2)"]
ENTRYPOINT ["callbot"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8080"]
