//! Everything comes back, and what is wrong in a dump is found.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use domain::manifest::{DumpContent, Manifest, Method};
use local_cloud::{DatabaseEngine, PlainDatabase};
use support::compare::assert_same_lines;
use support::database::documented;
use support::program::{failure, report};
use support::run;

use super::{LARGE, ODD, PASSWORD, World};

/// Runs documented commands as a person who is the superuser of an empty server does.
fn follow(heading: &str, server: &PlainDatabase, variables: &[(&str, &str)]) {
    let mut command = server.user("postgres", PASSWORD).command("bash", "");
    command.args(["-euo", "pipefail", "-c", &documented(heading).unwrap()]).env_remove("PGDATABASE");
    run(command.envs(variables.iter().copied())).unwrap();
}

fn restore(manifest: &Manifest, folder: &Path, server: &PlainDatabase) {
    let path = |name: &str| folder.join(name).display().to_string();
    follow("Roles", server, &[("globals", &path("globals.sql.gz"))]);
    let mut large: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let mut whole = Vec::new();
    for artifact in &manifest.artifacts {
        let dump = artifact.dump.as_ref().unwrap();
        let database = dump.database.as_deref().unwrap_or_default();
        match dump.content {
            DumpContent::Globals => {}
            DumpContent::LargeTable => large.entry(database).or_default().push(path(&artifact.name)),
            DumpContent::Databases | DumpContent::WithoutLargeTables => whole.push((database, path(&artifact.name))),
        }
    }
    for (database, dump) in whole {
        match (large.get(database), database) {
            (Some(tables), _) => {
                let tables = tables.join(" ");
                follow(
                    "A database with large tables",
                    server,
                    &[("dump", &dump), ("tables", &tables), ("database", database)],
                );
            }
            (None, "postgres") => follow("The database postgres", server, &[("dump", &dump)]),
            (None, _) => follow("A database", server, &[("dump", &dump)]),
        }
    }
}

/// All there is to know of a database, in an order that does not change.
fn portrait(server: &PlainDatabase, database: &str) -> String {
    let tables = "
        select format('%I.%I', n.nspname, c.relname) from pg_class c join pg_namespace n on n.oid = relnamespace
         where relkind in ('r', 'm') and nspname !~ '^(pg_|information_schema)'
         order by format('%I.%I', n.nspname, c.relname) collate \"C\"";
    let tables = server.sql(database, tables).unwrap();
    let mut portrait = String::new();
    // A name with a line break is two lines; it is asked for by itself.
    for table in tables
        .lines()
        .filter(|line| line.contains('.') && !line.starts_with("app.\"line"))
        .chain(tables.contains("app.\"line").then_some("app.\"line\nbreak\""))
    {
        let columns = format!(
            "select coalesce(md5(string_agg(t::text, E'\\n' order by t::text collate \"C\")), '-'), count(*)
             from {table} t;"
        );
        writeln!(portrait, "{table}: {}", server.sql(database, &columns).unwrap()).unwrap();
    }
    let rest = "
        select oid, pg_get_userbyid(lomowner), md5(lo_get(oid)) from pg_largeobject_metadata order by oid;
         select * from pg_sequences order by 1, 2;";
    writeln!(portrait, "{}", server.sql(database, rest).unwrap()).unwrap();
    let schema = run(server.superuser().command("pg_dump", database).args(["--schema-only", "--create"])).unwrap();
    portrait.extend(
        schema
            .lines()
            .filter(|line| !line.starts_with("\\restrict") && !line.starts_with("\\unrestrict"))
            .map(|line| format!("{line}\n")),
    );
    portrait
}

fn roles(server: &PlainDatabase) -> String {
    let roles = "
        select rolname, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolconnlimit, rolconfig,
         shobj_description(oid, 'pg_authid')
         from pg_roles where rolname !~ '^(pg_|rds|postgres)' order by 1;
         select r.rolname, m.rolname, admin_option
         from pg_auth_members a join pg_roles r on r.oid = roleid join pg_roles m on m.oid = member
         where r.rolname !~ '^(pg_|rds)' and m.rolname !~ '^(postgres|rds)' order by 1, 2;";
    server.sql("postgres", roles).unwrap()
}

#[test]
fn everything_comes_back_by_the_documented_commands() {
    let world = World::new();
    let databases = ["blueprint", "empty", "postgres", "shop", ODD];
    let roles_before = roles(&world.server);
    let before: Vec<String> = databases.iter().map(|database| portrait(&world.server, database)).collect();
    let done = report(&world.export(&["--large-table-bytes", LARGE]));
    assert_eq!(done["alreadyDone"], false);
    world.assert_nothing_is_left();
    let manifest = world.manifest();
    let names: Vec<&str> = manifest.artifacts.iter().map(|artifact| artifact.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "globals.sql.gz",
            "blueprint.dump.gz",
            "empty.dump.gz",
            "postgres.dump.gz",
            "shop.dump.gz",
            "shop-app_Weird__Name__tbl_.dump.gz",
            "we_ird__n_me_x.dump.gz"
        ]
    );
    assert!(manifest.artifacts.iter().all(|artifact| artifact.method == Method::Dump));
    let rows = |artifact: &str, table: &str| {
        let artifact = manifest.artifacts.iter().find(|found| found.name == format!("{artifact}.dump.gz")).unwrap();
        let dump = artifact.dump.as_ref().unwrap();
        dump.tables.iter().find(|count| count.name == table).map(|count| count.rows)
    };
    assert_eq!(rows("blueprint", "public.defaults"), Some(23));
    assert_eq!(rows("shop", "app.items"), Some(6));
    assert_eq!(rows("shop", "app.nothing"), Some(2));
    assert_eq!(rows("shop", "app.\"line\nbreak\""), Some(2));
    assert_eq!(rows("shop", "app.events_2025"), Some(214));
    assert_eq!(rows("shop", "app.volatile"), Some(1));
    assert_eq!(rows("shop", "app.\"Weird \"\"Name\"\".tbl*\""), None);
    assert_eq!(rows("shop-app_Weird__Name__tbl_", "app.\"Weird \"\"Name\"\".tbl*\""), Some(3000));
    assert_eq!(rows("we_ird__n_me_x", "mine.x"), Some(17));
    assert!(manifest.notes.iter().any(|note| note.contains("rds_superuser")), "{:?}", manifest.notes);
    report(&world.verify());

    let other = PlainDatabase::start(DatabaseEngine::Postgres, "postgres", PASSWORD).unwrap();
    restore(&manifest, &world.destination(), &other);
    for (database, before) in databases.iter().zip(before) {
        assert_same_lines(database, &before, &portrait(&other, database)).unwrap();
    }
    assert_eq!(roles_before, roles(&other));
}

#[test]
fn rows_that_differ_from_the_manifest_are_found_when_the_dump_is_read_again() {
    let world = World::new();
    report(&world.export(&[]));
    let path = world.destination().join("manifest.json");
    let mut manifest = world.manifest();
    let shop = manifest.artifacts.iter_mut().find(|artifact| artifact.name == "shop.dump.gz").unwrap();
    let dump = shop.dump.as_mut().unwrap();
    dump.tables.iter_mut().find(|table| table.name == "app.items").unwrap().rows = 7;
    std::fs::write(&path, manifest.to_json()).unwrap();
    let (code, error) = failure(&world.verify());
    assert_eq!(code, 65, "{error}");
    assert!(error.contains("6 rows of app.items, the manifest says 7"), "{error}");
}
