//! ideal-gpu
