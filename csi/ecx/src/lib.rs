//! ecx
