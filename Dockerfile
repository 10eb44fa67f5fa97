FROM python:3.11-slim-bookworm AS build
WORKDIR /build
RUN python -m venv /opt/privrec
COPY LICENSE NOTICE README.md constraints.txt pyproject.toml ./
COPY recsys recsys
COPY api api
COPY pipelines pipelines
COPY privrec privrec
# No extra with torch: the default model is trained and served without it.
RUN /opt/privrec/bin/pip install --no-cache-dir --disable-pip-version-check --constraint constraints.txt '.[postgres]'

FROM python:3.11-slim-bookworm
# implicit's wheel links against the system's OpenMP runtime. Its version is the base image's business.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --user-group --home-dir /nonexistent --shell /usr/sbin/nologin privrec \
    && install -d -o privrec -g privrec -m 0700 /var/lib/privrec
COPY --from=build /opt/privrec /opt/privrec
ENV PATH=/opt/privrec/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PRIVREC_STATE_DIR=/var/lib/privrec
# By number, so that an orchestrator can see that it is not root.
USER 10001:10001
WORKDIR /var/lib/privrec
VOLUME /var/lib/privrec
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health/live', timeout=2)"]
ENTRYPOINT ["privrec"]
CMD ["serve", "--host", "0.0.0.0", "--no-worker"]
