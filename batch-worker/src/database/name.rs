//! Names of artifacts for names of databases and tables, which may be anything.

use std::collections::BTreeSet;

use domain::key::segment;

/// Gives each name that it is asked for once.
#[derive(Debug, Default)]
pub(crate) struct Names(BTreeSet<String>);

impl Names {
    /// A name that begins the names of an artifact and its index, made of `parts`: without dots, unlike any other.
    pub(crate) fn stem(&mut self, parts: &[&str]) -> String {
        let parts: Vec<String> = parts.iter().map(|part| segment(part).replace('.', "_")).collect();
        let wanted = parts.join("-");
        let mut stem = wanted.clone();
        let mut number = 1;
        while !self.0.insert(stem.clone()) {
            number += 1;
            stem = format!("{wanted}-{number}");
        }
        stem
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_given_once() {
        let mut names = Names::default();
        assert_eq!(names.stem(&["globals"]), "globals");
        assert_eq!(names.stem(&["globals"]), "globals-2");
        assert_eq!(names.stem(&["or/ders v1.2"]), "or_ders_v1_2");
        assert_eq!(names.stem(&["or_ders_v1.2"]), "or_ders_v1_2-2");
        assert_eq!(names.stem(&["orders", "public.items"]), "orders-public_items");
        assert_eq!(names.stem(&[".."]), "__");
    }
}
