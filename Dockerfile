# Built in two stages: compilers stay behind. Runs as a user without a shell or a home.
FROM python:3.11-slim-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
RUN python -m venv /opt/switchgear
WORKDIR /src
COPY requirements/runtime.lock requirements/
RUN /opt/switchgear/bin/pip install --no-cache-dir --require-hashes -r requirements/runtime.lock
COPY . .
RUN /opt/switchgear/bin/pip install --no-cache-dir --no-deps --no-build-isolation . \
 && /opt/switchgear/bin/pip uninstall -y cython setuptools wheel

FROM python:3.11-slim-bookworm
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin switchgear
COPY --from=build /opt/switchgear /opt/switchgear
ENV PATH=/opt/switchgear/bin:$PATH PYTHONUNBUFFERED=1
USER 10001
WORKDIR /tmp
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s \
  CMD ["python", "-c", "import os, urllib.request as u; u.urlopen(f\"http://127.0.0.1:{os.environ.get('SWITCHGEAR_PORT', '8080')}/health\", timeout=2)"]
ENTRYPOINT ["switchgear"]
CMD ["serve", "--config", "/etc/switchgear/config.yaml", "--host", "0.0.0.0"]
