//! ecx-sim
