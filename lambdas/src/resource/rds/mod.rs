//! Database servers of RDS and Aurora: instances, and the clusters that Aurora's live in.

pub mod cluster;
pub mod instance;
pub mod refusal;
