//! The parameters of a query, as EC2 and RDS get it: numbered lists, filters, tags.

use std::collections::BTreeMap;

use super::answer::ApiError;
use super::request::query_pairs;
use crate::pattern::glob_matches;

/// A parsed query.
#[derive(Debug)]
pub(crate) struct Query(BTreeMap<String, String>);

/// A filter: a name and the values of which one must match.
pub(crate) type Filter = (String, Vec<String>);

impl Query {
    pub(crate) fn new(body: &[u8]) -> Self {
        Self(query_pairs(&String::from_utf8_lossy(body)))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub(crate) fn required(&self, name: &str) -> Result<&str, ApiError> {
        self.get(name).ok_or_else(|| {
            ApiError::new(400, "MissingParameter", format!("The request must contain the parameter {name}"))
        })
    }

    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        self.get(name).and_then(|value| value.parse().ok())
    }

    pub(crate) fn is_true(&self, name: &str) -> bool {
        self.get(name) == Some("true")
    }

    /// `Name.1`, `Name.2`, ….
    pub(crate) fn list(&self, name: &str) -> Vec<String> {
        (1..).map_while(|n| self.0.get(&format!("{name}.{n}")).cloned()).collect()
    }

    pub(crate) fn filters(&self) -> Vec<Filter> {
        (1..)
            .map_while(|n| {
                Some((self.0.get(&format!("Filter.{n}.Name"))?.clone(), self.list(&format!("Filter.{n}.Value"))))
            })
            .collect()
    }

    /// `Tag.1.Key` and `Tag.1.Value` below a prefix.
    pub(crate) fn tags(&self, prefix: &str) -> BTreeMap<String, String> {
        (1..)
            .map_while(|n| {
                let key = self.0.get(&format!("{prefix}Tag.{n}.Key"))?.clone();
                Some((key, self.0.get(&format!("{prefix}Tag.{n}.Value")).cloned().unwrap_or_default()))
            })
            .collect()
    }

    /// All parameters but those that differ between two requests for the same thing.
    pub(crate) fn identity(&self) -> String {
        let kept = self.0.iter().filter(|(name, _)| !["ClientToken", "Version", "Action"].contains(&name.as_str()));
        kept.map(|(name, value)| [name.as_str(), "=", value, "\n"].concat()).collect()
    }
}

/// Whether a resource passes all filters; `values` gives what it has under a filter's name, or nothing for a name that does not exist.
pub(crate) fn passes(
    filters: &[Filter],
    tags: &BTreeMap<String, String>,
    values: impl Fn(&str) -> Option<Vec<String>>,
) -> Result<bool, ApiError> {
    for (name, wanted) in filters {
        let has = if let Some(key) = name.strip_prefix("tag:") {
            tags.get(key).into_iter().cloned().collect()
        } else if name == "tag-key" {
            tags.keys().cloned().collect()
        } else {
            values(name)
                .ok_or_else(|| ApiError::new(400, "InvalidParameterValue", format!("The filter '{name}' is invalid")))?
        };
        if !wanted.iter().any(|pattern| has.iter().any(|value| glob_matches(pattern, value))) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// One page of a list, and the token of the next.
pub(crate) fn page<T>(query: &Query, mut all: Vec<T>) -> (Vec<T>, Option<String>) {
    let start = query.number("NextToken").and_then(|token| usize::try_from(token).ok()).unwrap_or(0).min(all.len());
    let most = query.number("MaxResults").and_then(|most| usize::try_from(most).ok()).unwrap_or(usize::MAX);
    let mut rest = all.split_off(start);
    let next = (rest.len() > most).then(|| (start + most).to_string());
    rest.truncate(most);
    (rest, next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_and_tags_are_numbered() {
        let query = Query::new(b"Filter.1.Name=tag%3Aa&Filter.1.Value.1=x&Filter.1.Value.2=y*&TagSpecification.1.Tag.1.Key=k&TagSpecification.1.Tag.1.Value=v");
        assert_eq!(query.filters(), vec![("tag:a".to_owned(), vec!["x".to_owned(), "y*".to_owned()])]);
        assert_eq!(query.tags("TagSpecification.1.").get("k").map(String::as_str), Some("v"));
        let tags = BTreeMap::from([("a".to_owned(), "yes".to_owned())]);
        assert!(passes(&query.filters(), &tags, |_| None).unwrap());
        assert!(!passes(&query.filters(), &BTreeMap::new(), |_| None).unwrap());
        assert!(passes(&[("nonsense".to_owned(), vec![])], &tags, |_| None).is_err());
    }

    #[test]
    fn pages_cover_the_list() {
        let (first, token) = page(&Query::new(b"MaxResults=2"), vec![1, 2, 3]);
        assert_eq!((first, token.as_deref()), (vec![1, 2], Some("2")));
        let (second, token) = page(&Query::new(b"MaxResults=2&NextToken=2"), vec![1, 2, 3]);
        assert_eq!((second, token), (vec![3], None));
    }
}
