//! Byte formats without opinions: what a file looks like, not what is in it.

#[cfg_attr(
    not(test),
    expect(dead_code, reason = "its user, the sysext output, is on its way")
)]
pub mod squashfs;
pub mod tar;
