//! Who vouches for the bytes of an upstream: signatures are verified when a lock pins
//! them, and their proofs are kept and verified again offline.
