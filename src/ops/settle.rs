//! The end of every change: device nodes and links catch up.

use super::OpError;
use crate::kernel::ChangeKernel;

/// Lets the outside world catch up after `outcome`, good or bad.
///
/// After a failure the failure is what counts, and a node that lags behind is only logged.
pub(super) fn settled<T>(kernel: &dyn ChangeKernel, outcome: Result<T, OpError>) -> Result<T, OpError> {
    match (outcome, kernel.settle()) {
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
