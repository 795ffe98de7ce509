//! What steps 5 to 8 know of the disk, each from those before.

/// Filled in by one step, read by the next.
#[derive(Default)]
pub struct Inside {}
