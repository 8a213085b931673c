//! ValidateVolumeCapabilities.

use eck_csi::capability::Capability;
use eck_csi::field::{BadField, map};
use eck_csi::volume::VolumeId;
use pb::validate_volume_capabilities_response::Confirmed;
use proto::csi::v1 as pb;

use crate::driver::Driver;
use crate::error::ReadError;

/// Whether the volume, which must exist, can be had in all of these ways.
pub(crate) async fn validate(
    driver: &Driver,
    request: pb::ValidateVolumeCapabilitiesRequest,
) -> Result<pb::ValidateVolumeCapabilitiesResponse, ReadError> {
    let volume = VolumeId::parse(request.volume_id)?;
    map("volume_context", &request.volume_context)?;
    if request.volume_capabilities.is_empty() {
        return Err(BadField::missing("volume_capabilities").into());
    }
    driver.existing(&volume).await?;
    let parsed = Capability::parse_all("volume_capabilities", request.volume_capabilities.clone());
    let confirmed = Confirmed {
        volume_context: request.volume_context,
        volume_capabilities: request.volume_capabilities,
        parameters: request.parameters,
        mutable_parameters: request.mutable_parameters,
    };
    let (confirmed, message) = match parsed {
        Ok(_) => (Some(confirmed), String::new()),
        // The spec: not supported is an empty `confirmed` with the reason, not an error.
        Err(field) => (None, field.to_string()),
    };
    Ok(pb::ValidateVolumeCapabilitiesResponse { confirmed, message })
}
