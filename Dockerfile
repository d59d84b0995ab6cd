# docker build --tag ingestd . && docker run --volume "$PWD/inbox:/inbox" --volume ingestd:/data ingestd
# On Linux, the folder of the host has to be writable for the user 10001: sudo chown 10001 inbox
FROM python:3.11-slim-bookworm AS build
WORKDIR /src
COPY pyproject.toml constraints.txt README.md ./
COPY ingestd ingestd
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels . \
 && python -m venv /opt/ingestd \
 && /opt/ingestd/bin/pip install --no-cache-dir --constraint constraints.txt "$(echo /wheels/ingestd-*.whl)[postgres]"

FROM python:3.11-slim-bookworm
COPY --from=build /opt/ingestd /opt/ingestd
RUN useradd --uid 10001 --user-group --home-dir /data --no-create-home --shell /usr/sbin/nologin ingestd \
 && mkdir /inbox /data \
 && chown ingestd:ingestd /inbox /data
ENV PATH=/opt/ingestd/bin:$PATH \
    INGESTD_DATABASE__URL=sqlite:////data/ingestd.db \
    INGESTD_LOG__FORMAT=json \
    INGESTD_WATCH__ROOTS='["/inbox"]'
USER ingestd
WORKDIR /data
VOLUME /data
# The daemon gives a sign of life on the folders of the settings. A daemon that ends ends the container.
HEALTHCHECK --interval=60s --timeout=20s --start-period=60s --retries=3 CMD ["ingestd", "health", "--json"]
# PID 1 gets SIGTERM from `docker stop` and finishes what is in flight within ten seconds.
ENTRYPOINT ["ingestd"]
CMD ["run"]
