# docker build -f deploy/images/ideal-gpu-plugin.Dockerfile .
FROM rust:1.95-slim-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev cmake && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN cargo build --release --locked -p ideal-gpu-plugin

# libc and its loader; NVML comes from the host.
FROM gcr.io/distroless/cc-debian12
COPY --from=build /src/target/release/ideal-gpu-plugin /usr/bin/
ENTRYPOINT ["/usr/bin/ideal-gpu-plugin"]
