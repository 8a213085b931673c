//! Functions of CUDA that take memory or compute for which there is no honest account. Refused whatever they are asked for, so
//! their arguments are not read.

use crate::abi::{CUDA_ERROR_NOT_SUPPORTED, CUresult};
use crate::hook::refusals;

refusals! { Cuda, CUresult, CUDA_ERROR_NOT_SUPPORTED;
    "refused: the form of CUDA 2, for addresses and sizes of 32 bits":
        cuMemAlloc cuMemAllocPitch cuMemFree cuMemGetInfo cuDeviceTotalMem cuArrayCreate cuArray3DCreate;
    "refused: a context that shares the memory of a display, which nobody charges":
        cuGLCtxCreate cuGLCtxCreate_v2 cuVDPAUCtxCreate cuVDPAUCtxCreate_v2;
    "refused: takes the memory of another process away and brings it back, to another card too, without that process being asked":
        cuCheckpointProcessCheckpoint cuCheckpointProcessRestore;
    "refused: captures for a display's own queue, where launches have no time slice":
        cuStreamBeginCaptureToCig cuStreamBeginCaptureToCig_ptsz;
}
