//! sanity-tests
