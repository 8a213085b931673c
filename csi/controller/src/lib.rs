//! eck-csi-controller
