//! Signatures by one's own keys, byte for byte the same whenever key and bytes are.
