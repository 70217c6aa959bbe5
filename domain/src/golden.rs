//! Files of `golden/`: what crosses a process or a language, as one side writes it and the other reads it.

use std::path::Path;

use serde_json::Value;

/// Compares `actual` with a file of `golden/`. Where `UPDATE_GOLDEN` is set (`UPDATE_GOLDEN=1 cargo test -p domain`), the file is
/// written instead: look at the difference before it is committed, because whoever reads the file changes with it.
#[track_caller]
pub(crate) fn assert(name: &str, actual: &Value) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        let text = serde_json::to_string_pretty(actual).unwrap();
        std::fs::write(&path, text + "\n").unwrap();
    }
    let expected = std::fs::read(&path).unwrap_or_else(|error| panic!("read {}: {error}", path.display()));
    let expected: Value = serde_json::from_slice(&expected).unwrap();
    assert_eq!(*actual, expected, "{}: see domain/src/golden.rs", path.display());
}
