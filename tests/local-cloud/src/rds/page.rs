//! Pages of lists, as RDS gives them.

use crate::wire::{ApiError, Query};

/// One page of a list, and the marker of the next.
pub(super) fn page<T>(query: &Query, page_size: usize, mut all: Vec<T>) -> Result<(Vec<T>, Option<String>), ApiError> {
    let most = match query.number("MaxRecords") {
        None => 100,
        Some(most) if (20..=100).contains(&most) => usize::try_from(most).unwrap_or(100),
        Some(most) => {
            let message = format!("Invalid value {most} for MaxRecords. Must be between 20 and 100");
            return Err(ApiError::new(400, "InvalidParameterValue", message));
        }
    };
    let most = most.min(page_size.max(1));
    let start = query.number("Marker").and_then(|marker| usize::try_from(marker).ok()).unwrap_or(0).min(all.len());
    let mut rest = all.split_off(start);
    let next = (rest.len() > most).then(|| (start + most).to_string());
    rest.truncate(most);
    Ok((rest, next))
}
