FROM python:3.11-slim-bookworm
WORKDIR /srv/ingestd
COPY pyproject.toml constraints.txt README.md ./
COPY ingestd ingestd
RUN pip install --no-cache-dir --constraint constraints.txt '.[postgres]' \
 && useradd --uid 10001 --create-home ingestd \
 && mkdir -p /inbox && chown ingestd /inbox
USER ingestd
# PID 1 gets SIGTERM from `docker stop` and finishes what is in flight.
ENTRYPOINT ["ingestd"]
CMD ["run", "--watch", "/inbox"]
