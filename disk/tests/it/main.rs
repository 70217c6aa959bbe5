//! Real disks and filesystems go through archives, and come back by other people's tools.

mod section;
mod support;
mod tree;
