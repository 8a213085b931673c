//! eck-csi
