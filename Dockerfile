# bulla in a container: built as the Debian package, which says what it needs at run time.
#
#     docker build -t bulla .        or: buildah build -t bulla .
#     docker run --rm -v /etc/bulla:/etc/bulla:ro -v /srv:/srv bulla encrypt -k /etc/bulla/backup.ring /srv/backup.tar
ARG BASE=debian:12-slim

FROM ${BASE} AS build
ENV DEBIAN_FRONTEND=noninteractive
RUN apt-get update && apt-get install -y --no-install-recommends build-essential
COPY debian/control /src/bulla/debian/control
RUN apt-get build-dep -y --no-install-recommends /src/bulla
COPY . /src/bulla
RUN cd /src/bulla && dpkg-buildpackage -us -uc -b

FROM ${BASE}
COPY --from=build /src/bulla_*.deb /tmp/
RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends ca-certificates libcurl4 libexpat1 libp11-kit0 /tmp/bulla_*.deb \
    && rm -rf /tmp/bulla_*.deb /var/lib/apt/lists/*
WORKDIR /work
ENTRYPOINT ["bulla"]
CMD ["help"]
