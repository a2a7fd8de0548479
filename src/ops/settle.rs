//! The frame of every change: what it needs is there before it, and device nodes and links catch up after it.

use super::OpError;
use crate::kernel::ChangeKernel;

/// Carries out a change, and lets the outside world catch up with it, whether it was a success or not.
///
/// After a failure the failure is what counts, and a node that lags behind is only logged.
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
