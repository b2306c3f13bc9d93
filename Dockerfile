# The official image of PostgreSQL with tagrec in it. MAJOR: 15 to 18.
#   docker build --build-arg MAJOR=17 -t postgres-tagrec .
ARG MAJOR=17

FROM postgres:${MAJOR} AS build
ARG MAJOR
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev make libopenblas-dev postgresql-server-dev-${MAJOR}
COPY . /tagrec
RUN make -C /tagrec clean && make -C /tagrec -j"$(nproc)" install DESTDIR=/installed

FROM postgres:${MAJOR}
RUN apt-get update && apt-get install -y --no-install-recommends libopenblas0 && rm -rf /var/lib/apt/lists/*
COPY --from=build /installed /
