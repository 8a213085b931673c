//! eck-csi-node
