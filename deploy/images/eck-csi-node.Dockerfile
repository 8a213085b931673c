# docker build -f deploy/images/eck-csi-node.Dockerfile .
FROM rust:1.95-slim-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN cargo build --release --locked -p eck-csi-node

# It brings its own tools: what a node's distribution has may be older than the file systems that it must check and grow.
FROM debian:12-slim
RUN apt-get update && apt-get install -y --no-install-recommends e2fsprogs xfsprogs dosfstools && rm -rf /var/lib/apt/lists/*
COPY --from=build /src/target/release/eck-csi-node /usr/bin/
ENTRYPOINT ["/usr/bin/eck-csi-node"]
