# `mobilesam serve` without torch, the weights inside. docs/server.md tells how to run it.
FROM python:3.13-slim AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE NOTICE constraints.txt ./
COPY src src
RUN python -m venv /opt/mobilesam \
    && /opt/mobilesam/bin/pip install --no-cache-dir -c constraints.txt '.[serve]'

FROM python:3.13-slim
COPY --from=build /opt/mobilesam /opt/mobilesam
RUN useradd --system --no-create-home --uid 10001 mobilesam
USER 10001
ENV PATH=/opt/mobilesam/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    MOBILESAM_CACHE=/tmp/mobilesam \
    MOBILESAM_OFFLINE=1 \
    MOBILESAM_SERVE_HOST=0.0.0.0
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + os.environ.get('MOBILESAM_SERVE_PORT', '8000') + '/readyz', timeout=4)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["mobilesam"]
CMD ["serve"]
