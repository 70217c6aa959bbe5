//! pax headers: from an entry to the blocks that precede its content in a tar stream, and back.
//!
//! `encode` writes, `decode` reads; what both must agree on stands here.

pub(crate) mod decode;
pub(crate) mod encode;
mod record;
mod xattr;

/// Tar's unit.
pub(crate) const BLOCK_BYTES: usize = 512;

/// What follows `bytes` of content up to the next block.
pub(crate) fn padding(bytes: u64) -> usize {
    let over = usize::try_from(bytes % BLOCK_BYTES as u64).expect("less than a block");
    (BLOCK_BYTES - over) % BLOCK_BYTES
}
