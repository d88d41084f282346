# One image for every node: `tributary node run NODE`.
FROM rust:1.95-bookworm AS build
RUN apt-get update \
  && apt-get install -y --no-install-recommends clang libclang-dev cmake pkg-config libssl-dev zlib1g-dev \
  && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/target \
  CARGO_TARGET_DIR=/target cargo build --release --locked -p tributary-cli \
  && cp /target/release/tributary /usr/local/bin/tributary

FROM debian:bookworm-slim
RUN apt-get update \
  && apt-get install -y --no-install-recommends ca-certificates libssl3 zlib1g \
  && rm -rf /var/lib/apt/lists/* \
  && useradd --system --create-home --home-dir /var/lib/tributary tributary
COPY --from=build /usr/local/bin/tributary /usr/local/bin/tributary
USER tributary
WORKDIR /var/lib/tributary
ENV TRIBUTARY_DATA=/var/lib/tributary/data
ENTRYPOINT ["tributary"]
CMD ["--help"]
