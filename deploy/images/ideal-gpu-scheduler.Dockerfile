# docker build -f deploy/images/ideal-gpu-scheduler.Dockerfile .
FROM rust:1.95-slim-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev cmake && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN cargo build --release --locked -p ideal-gpu-scheduler

# libc, its loader, certificates and nothing else; no shell.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /src/target/release/ideal-gpu-scheduler /usr/bin/
ENTRYPOINT ["/usr/bin/ideal-gpu-scheduler"]
