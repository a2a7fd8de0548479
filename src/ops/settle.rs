//! The frame of every change: prepares the kernel before it, and updates device nodes and links after it.

use super::OpError;
use crate::kernel::ChangeKernel;

/// Carries out a change, and updates the device nodes, whether the change succeeded or not.
///
/// After a failed change its error is returned, and that of the nodes is only logged.
pub(super) fn settled<T>(
    kernel: &dyn ChangeKernel,
    change: impl FnOnce() -> Result<T, OpError>,
) -> Result<T, OpError> {
    kernel.begin()?;
    match (change(), kernel.settle()) {
        (Ok(done), Ok(())) => Ok(done),
        (Ok(_), Err(error)) => Err(OpError::Unsettled(error)),
        (Err(failure), settled) => {
            if let Err(error) = settled {
                tracing::warn!("after the failure the device nodes could not be brought up to date: {error}");
            }
            Err(failure)
        }
    }
}
