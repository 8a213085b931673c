# What is done every day. `just` lists it.

export PATH := justfile_directory() / ".cache/bin:" + env("PATH")

[private]
default:
    @just --list

# Before a commit, as an ordinary user and without a network: format, build with lints, layers, licences, unit tests
check: tools
    cargo fmt --all --check
    hack/build tests
    cargo xtask layers
    cargo deny --offline check bans licenses sources
    hack/linted cargo nextest run --locked --workspace

# Everything that CI runs, as root
test *STEPS:
    hack/test {{ STEPS }}

# What a customer does, on a real Kubernetes, as root; `just e2e core` the short ones
e2e *CASES:
    hack/cluster up
    hack/e2e {{ CASES }}
    hack/cluster down

# Measures, against goals: attach, calls, churn, node, regions, gpu-sched, gpu-node or vcuda
bench NAME *ARGUMENTS:
    hack/bench {{ NAME }} {{ ARGUMENTS }}

# A volume's whole life on this machine, as root; `just demo gpu` for the cards
demo *WHICH:
    hack/demo {{ WHICH }}

# The pinned tools that are missing, into .cache/bin
[private]
tools:
    @hack/install --tools cargo-nextest cargo-deny
