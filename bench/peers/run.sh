#!/usr/bin/env bash
# Runs Millstream and its peers by turns on the same works: bench/peers/run.sh --work all --json figures.json (see --help, and
# docs/benchmarks/peers.md). Builds what has to be built.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
command -v cargo > /dev/null || { echo "no cargo: install Rust first" >&2; exit 1; }
exec cargo run --quiet --release --manifest-path "$here/Cargo.toml" -p peers -- "$@"
