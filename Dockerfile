# The gateway as a container that runs as nobody in particular and writes nowhere but to /data:
#   docker build --tag gateway .
#   docker run --read-only --cap-drop ALL --security-opt no-new-privileges --publish 8000:8000 --volume data:/data gateway
# Where the base images come from is for whoever builds to say: --build-arg PYTHON_IMAGE=... --build-arg NODE_IMAGE=...
ARG PYTHON_IMAGE=python:3.11-slim
ARG NODE_IMAGE=node:20-slim

FROM ${NODE_IMAGE} AS pages
WORKDIR /src
COPY web/package.json web/package-lock.json web/.npmrc web/
RUN cd web && npm ci --silent
COPY schema.graphql ./
COPY web web
RUN npm --prefix web run --silent build -- --logLevel warn

FROM ${PYTHON_IMAGE} AS wheel
WORKDIR /src
COPY requirements requirements
RUN python -m venv /tools && /tools/bin/pip install --quiet --no-deps --require-hashes -r requirements/dev.txt
RUN python -m venv /opt/gateway && /opt/gateway/bin/pip install --quiet --no-deps --require-hashes -r requirements/base.txt
COPY pyproject.toml README.md LICENSE ./
COPY gateway gateway
COPY schema schema
COPY projector projector
COPY write_model write_model
COPY read_model read_model
COPY store store
COPY --from=pages /src/gateway/static gateway/static
RUN /tools/bin/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir /wheel . \
 && /opt/gateway/bin/pip install --quiet --no-deps /wheel/*.whl \
 && /opt/gateway/bin/python -m compileall -q /opt/gateway

FROM ${PYTHON_IMAGE}
RUN install -d -o 10001 -g 10001 -m 0700 /data
COPY --from=wheel /opt/gateway /opt/gateway
ENV PATH=/opt/gateway/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOST=0.0.0.0 \
    STORE_URL=sqlite:////data/gateway.db
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=15s CMD ["python", "-c", \
  "import os, urllib.request; urllib.request.urlopen(f'http://127.0.0.1:{os.environ.get(\"PORT\", 8000)}/healthz', timeout=2)"]
ENTRYPOINT ["gateway"]
CMD ["serve"]
