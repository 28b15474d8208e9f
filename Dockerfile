# One image for every process of Alliance; what it runs is the command it is given.
ARG PYTHON=python:3.11-slim-bookworm

FROM ${PYTHON} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
COPY deploy/requirements.build.lock deploy/requirements.runtime.lock deploy/
# Only what the lock names, byte for byte, and wheels only: nothing of a stranger's runs while this is built.
RUN python -m venv --without-pip /opt/alliance \
    && pip install --require-hashes --only-binary :all: --requirement deploy/requirements.build.lock \
    && pip --python /opt/alliance/bin/python install --require-hashes --only-binary :all: \
        --requirement deploy/requirements.runtime.lock
COPY . .
RUN pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
    && pip --python /opt/alliance/bin/python install --no-deps /wheels/*.whl

FROM ${PYTHON} AS runtime
# The uid that owns the secret files outside, so that the key file can be closed to everybody else.
ARG APP_UID=10001
RUN useradd --uid "${APP_UID}" --home-dir /var/lib/alliance --create-home --shell /usr/sbin/nologin alliance
COPY --from=build /opt/alliance /opt/alliance
ENV PATH=/opt/alliance/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /var/lib/alliance
USER ${APP_UID}
CMD ["alliance", "--help"]
