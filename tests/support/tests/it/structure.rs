//! The walls of the house: which crate may know which, and that no file knows one that knows it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use support::program::workspace;

/// What each crate of the workspace may use of the others, outside of its tests.
const ARROWS: &[(&str, &[&str])] = &[
    ("archive", &[]),
    ("aws", &["domain"]),
    ("batch-worker", &["archive", "aws", "disk", "domain", "store"]),
    ("cli", &["archive", "aws", "domain", "store"]),
    ("disk", &["archive", "domain"]),
    ("domain", &[]),
    ("e2e", &["domain", "local-cloud", "support"]),
    ("lambdas", &["aws", "domain"]),
    ("local-cloud", &[]),
    ("store", &["archive", "aws", "domain"]),
    ("support", &["domain"]),
];

#[test]
fn crates_depend_on_each_other_in_one_direction() -> Result<()> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(workspace())
        .output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let packages = metadata["packages"].as_array().context("no packages")?;
    let mut found = BTreeMap::new();
    for package in packages {
        let name = package["name"].as_str().context("no name")?;
        let dependencies = package["dependencies"].as_array().context("no dependencies")?;
        let of_ours =
            dependencies.iter().filter(|dependency| dependency["path"].is_string() && dependency["kind"].is_null());
        let mut names: Vec<&str> = of_ours.filter_map(|dependency| dependency["name"].as_str()).collect();
        names.sort_unstable();
        found.insert(name, names);
    }
    let wanted: BTreeMap<&str, Vec<&str>> = ARROWS.iter().map(|(name, uses)| (*name, uses.to_vec())).collect();
    assert_eq!(found, wanted);
    Ok(())
}

/// The demo builds programs alone and the tests build all. What both depend on must have the same features, or the SDK,
/// most of all that is compiled, is compiled once for each.
#[test]
fn programs_and_tests_take_the_same_features_of_what_both_depend_on() -> Result<()> {
    let features = |edges: &str| -> Result<BTreeSet<String>> {
        let arguments = [
            "tree",
            "--workspace",
            "--locked",
            "--offline",
            "--prefix",
            "none",
            "--format",
            "{p}|{f}",
            "--edges",
            edges,
        ];
        let output = Command::new(env!("CARGO")).args(arguments).current_dir(workspace()).output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let listed = String::from_utf8(output.stdout)?;
        Ok(listed.lines().map(|line| line.trim_end_matches(" (*)").to_owned()).collect())
    };
    let (programs, tests) = (features("normal,build")?, features("normal,build,dev")?);
    let different: Vec<_> = programs.difference(&tests).collect();
    assert!(different.is_empty(), "tests ask for more features of these: {different:?}");
    Ok(())
}

#[test]
fn no_file_imports_one_that_leads_back_to_it() -> Result<()> {
    let mut circles = Vec::new();
    for (name, _) in ARROWS {
        let folder =
            if ["e2e", "local-cloud", "support"].contains(name) { format!("tests/{name}") } else { (*name).to_owned() };
        let house = House::read(&workspace().join(folder).join("src"))?;
        ensure!(!house.files.is_empty(), "{name} has no files");
        circles.extend(house.circles().into_iter().map(|circle| format!("{name}: {}", circle.join(" <-> "))));
    }
    assert!(circles.is_empty(), "files that import each other:\n{}", circles.join("\n"));
    Ok(())
}

#[test]
fn imports_are_found_where_they_are_written() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let file = |name: &str, text: &str| -> Result<()> {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().context("a folder")?)?;
        Ok(fs::write(path, text)?)
    };
    file("lib.rs", "//! use crate::b::B;\nmod a;\nmod b;\nmod c;\npub use c::{inner::C, D};\n")?;
    file(
        "a.rs",
        "use std::fmt;\nuse crate::{b::{B, self as other}, C};\n#[cfg(test)]\nmod tests { use crate::c::D; }\n",
    )?;
    file("b.rs", "pub struct B;\nfn f() { super::a::g(); }\n")?;
    file("c/mod.rs", "mod inner;\npub use self::inner::D;\n")?;
    file("c/inner.rs", "pub struct C;\npub struct D(super::super::a::A);\n")?;
    let circles = House::read(directory.path())?.circles();
    assert_eq!(circles, [["a.rs", "b.rs", "c/inner.rs"].map(str::to_owned).to_vec()]);
    Ok(())
}

/// The files of a crate and what each imports of the others.
struct House {
    files: BTreeMap<PathBuf, BTreeSet<PathBuf>>,
}

/// A module: the file that it is in, and the paths that it gives others under a name of its own.
struct Module {
    file: PathBuf,
    given: Vec<ModulePath>,
}

type ModulePath = Vec<String>;

impl House {
    fn read(root: &Path) -> Result<Self> {
        let mut modules: BTreeMap<ModulePath, Module> = BTreeMap::new();
        let mut imports: Vec<(ModulePath, PathBuf, Vec<ModulePath>)> = Vec::new();
        for file in rust_files(root)? {
            let relative = file.strip_prefix(root)?.to_owned();
            let path = module_path(&relative);
            let text = code(&fs::read_to_string(&file)?);
            let (given, taken) = uses(&text);
            let resolve = |written: ModulePath| absolute(&path, written);
            imports.push((path.clone(), relative.clone(), taken.into_iter().filter_map(resolve).collect()));
            let given = given.into_iter().map(|written| absolute(&path, written.clone()).unwrap_or(written)).collect();
            modules.insert(path, Module { file: relative, given });
        }
        let mut files: BTreeMap<PathBuf, BTreeSet<PathBuf>> = BTreeMap::new();
        for (_, file, taken) in imports {
            let targets = files.entry(file.clone()).or_default();
            targets.extend(taken.iter().filter_map(|path| home(&modules, path, 0)).filter(|target| *target != file));
        }
        Ok(Self { files })
    }

    /// Groups of files each of which leads to every other.
    fn circles(&self) -> Vec<Vec<String>> {
        let reach = |from: &PathBuf| {
            let mut seen = BTreeSet::new();
            let mut next: Vec<&PathBuf> = self.files.get(from).into_iter().flatten().collect();
            while let Some(file) = next.pop() {
                if seen.insert(file) {
                    next.extend(self.files.get(file).into_iter().flatten());
                }
            }
            seen
        };
        let reached: BTreeMap<&PathBuf, BTreeSet<&PathBuf>> =
            self.files.keys().map(|file| (file, reach(file))).collect();
        let mut circles = BTreeSet::new();
        for (file, seen) in reached.iter().filter(|(file, seen)| seen.contains(*file)) {
            let circle = seen.iter().filter(|other| reached.get(**other).is_some_and(|back| back.contains(file)));
            circles.insert(circle.map(|file| file.display().to_string()).collect::<Vec<_>>());
        }
        circles.into_iter().collect()
    }
}

fn rust_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(rust_files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// `a/b.rs` and `a/b/mod.rs` are `a::b`; programs are roots of their own, and import the library by its name.
fn module_path(file: &Path) -> ModulePath {
    let mut path: ModulePath =
        file.with_extension("").components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
    match path.last().map(String::as_str) {
        Some("mod" | "lib") => {
            path.pop();
        }
        Some("main") => path = vec!["(program)".to_owned()],
        _ => {}
    }
    path
}

/// Without comments, texts and tests.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    let lines = text.lines().map(|line| if line.trim_start().starts_with("//") { "" } else { line });
    lines.collect::<Vec<_>>().join("\n")
}

/// The paths that a file gives others (`pub use`), and all others that it names.
fn uses(text: &str) -> (Vec<ModulePath>, Vec<ModulePath>) {
    let (mut given, mut taken) = (Vec::new(), Vec::new());
    let mut rest = String::new();
    for statement in text.split_inclusive(';') {
        let line = statement.trim_start();
        let begins = line.rfind("use ").filter(|at| {
            let before = line[..*at].rsplit('\n').next().unwrap_or_default().trim();
            before.is_empty() || before.starts_with("pub")
        });
        if let (Some(at), true) = (begins, line.ends_with(';')) {
            let before = line[..at].rsplit('\n').next().unwrap_or_default().trim();
            let written = expand(&line[at + 4..line.len() - 1]);
            if before.starts_with("pub") {
                given.extend(written);
            } else {
                taken.extend(written);
            }
            rest.push_str(&line[..at]);
        } else {
            rest.push_str(statement);
        }
    }
    // Paths in the middle of code.
    let words = rest.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'));
    for word in words.filter(|word| ["crate::", "super::", "self::"].iter().any(|start| word.starts_with(start))) {
        taken.push(word.split("::").map(str::to_owned).collect());
    }
    (given, taken)
}

/// `a::{b, c::D}` as `a::b` and `a::c::D`.
fn expand(written: &str) -> Vec<ModulePath> {
    let written = written.trim();
    let Some((before, inside)) = written.split_once('{') else {
        let plain = written.split(" as ").next().unwrap_or_default();
        return vec![plain.split("::").map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()];
    };
    let inside = inside.trim_end().strip_suffix('}').unwrap_or(inside);
    let mut parts = vec![String::new()];
    let mut depth = 0;
    for c in inside.chars() {
        match c {
            ',' if depth == 0 => parts.push(String::new()),
            _ => {
                depth += i32::from(c == '{') - i32::from(c == '}');
                if let Some(part) = parts.last_mut() {
                    part.push(c);
                }
            }
        }
    }
    let start: ModulePath =
        before.split("::").map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect();
    parts
        .iter()
        .filter(|part| !part.trim().is_empty())
        .flat_map(|part| expand(part))
        .map(|path| start.iter().cloned().chain(path.into_iter().filter(|part| part != "self")).collect())
        .collect()
}

/// A path from the crate's root; `None` for one of another crate.
fn absolute(module: &[String], written: ModulePath) -> Option<ModulePath> {
    let mut path = module.to_vec();
    let mut parts = written.into_iter().peekable();
    match parts.next_if(|part| ["crate", "self", "super"].contains(&part.as_str()))?.as_str() {
        "crate" => path.clear(),
        "super" => {
            path.pop();
        }
        _ => {}
    }
    while parts.next_if(|part| part == "super").is_some() {
        path.pop();
    }
    path.extend(parts);
    Some(path)
}

/// The file in which what a path names is defined, through everything that only hands it on.
fn home(modules: &BTreeMap<ModulePath, Module>, path: &[String], depth: usize) -> Option<PathBuf> {
    let known = (0..=path.len()).rev().find(|length| modules.contains_key(&path[..*length]))?;
    let module = modules.get(&path[..known])?;
    if let Some(item) = path.get(known)
        && depth < 8
    {
        let hands_on = |given: &&ModulePath| given.last() == Some(item) && given.as_slice() != &path[..=known];
        let parent = &path[..known];
        for given in module.given.iter().filter(hands_on) {
            // Written from the module itself (`mod a; pub use a::B`) or from the root.
            let from_here: ModulePath = parent.iter().chain(given).cloned().collect();
            for candidate in [given.clone(), from_here] {
                let further = home(modules, &candidate, depth + 1);
                if further.as_ref().is_some_and(|file| *file != module.file) {
                    return further;
                }
            }
        }
    }
    Some(module.file.clone())
}
