//! Members
