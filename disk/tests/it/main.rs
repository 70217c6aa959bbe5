//! Real disks and filesystems go through archives, and come back by other people's tools. Mounts need root (sudo).

mod export;
mod partition;
mod section;
mod tree;
