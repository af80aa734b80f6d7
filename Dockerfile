# One image for all services; the command names the service. Everything comes from the locks, with hashes.
FROM python:3.11-slim-bookworm AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
RUN python -m venv /opt/cordboard
COPY requirements/ requirements/
RUN /opt/cordboard/bin/pip install --require-hashes -r requirements/runtime.txt \
    && pip install --require-hashes -r requirements/build.txt
COPY . .
RUN pip wheel --no-deps --no-build-isolation --wheel-dir /dist . \
    && /opt/cordboard/bin/pip install --no-deps --no-index /dist/*.whl

FROM python:3.11-slim-bookworm
ENV PATH=/opt/cordboard/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
RUN useradd --system --uid 10001 --home-dir /var/lib/cordboard --create-home cordboard \
    && install --directory --owner cordboard --mode 0700 /var/lib/cordboard/spool
COPY --from=build /opt/cordboard /opt/cordboard
# The SQLite journal and the spool lie in .cordboard below this folder: mount a volume here to run without Kafka.
WORKDIR /var/lib/cordboard
USER cordboard
EXPOSE 8080 8081
# SIGTERM drains: nothing new is taken, what is in hand is finished, partitions are handed over (10 s).
STOPSIGNAL SIGTERM
ENTRYPOINT ["cordboard"]
CMD ["--help"]
