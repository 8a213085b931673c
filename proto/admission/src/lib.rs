//! What every admission webhook needs: the review that the API server sends, a port that speaks TLS, and certificates that the
//! program makes and renews itself. What is admitted is not known here.

pub mod body;
pub mod certs;
pub mod review;
pub mod tls;
