//! What the disk of a volume must be like.

use eck_csi::volume::{Region, SizeRange};

use super::content::Content;
use super::request::CreateRequest;
use crate::driver::Driver;
use crate::error::CreateError;
use crate::name::disk_name;

/// What the disk must be like.
#[derive(Debug)]
pub(super) struct DiskSpec<'a> {
    /// Its name in the cloud.
    pub(super) name: String,
    /// Regions in which it may be, the best first.
    pub(super) allowed: Vec<Region>,
    /// `None` if the cloud chooses it and does not tell beforehand.
    pub(super) disk_type: Option<&'a str>,
    pub(super) size: SizeRange,
    pub(super) content: Option<&'a Content>,
}

impl<'a> DiskSpec<'a> {
    pub(super) fn new(
        driver: &'a Driver,
        request: &'a CreateRequest,
        allowed: Vec<Region>,
        content: Option<&'a Content>,
    ) -> Result<Self, CreateError> {
        let (name, class) = (disk_name(&request.name), request.parameters.disk_type.as_deref());
        let Some(source) = content else {
            let disk_type = Some(driver.disk_type(request.mutable.disk_type.as_deref().or(class)));
            return Ok(Self { name, allowed, disk_type, size: request.size, content });
        };
        let (size, disk_type) = (source.size(request.size)?, source.disk_type(class)?);
        Ok(Self { name, allowed: source.region(request, &allowed)?, disk_type, size, content })
    }
}
