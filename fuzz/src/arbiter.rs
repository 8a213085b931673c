//! Frames between `libvcuda.so` and the arbiter: either side reads what the other one, or a program of the container, has written.

use ideal_gpu::arbiter_protocol::{FRAME, Grant, Request};

pub(crate) fn run(bytes: &[u8]) {
    for frame in bytes.as_chunks::<FRAME>().0 {
        let (request, grant) = (Request::from_frame(frame), Grant::from_frame(frame));
        assert!(request.is_none() || grant.is_none(), "one frame is not both");
        if let Some(request) = request {
            assert_eq!(request.to_frame(), *frame);
        }
        if let Some(grant) = grant {
            assert_eq!(grant.to_frame(), *frame);
        }
    }
}
