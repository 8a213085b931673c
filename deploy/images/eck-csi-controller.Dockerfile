# docker build -f deploy/images/eck-csi-controller.Dockerfile .
FROM rust:1.95-slim-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN cargo build --release --locked -p eck-csi-controller

# libc, its loader, certificates and nothing else; no shell.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /src/target/release/eck-csi-controller /usr/bin/
ENTRYPOINT ["/usr/bin/eck-csi-controller"]
