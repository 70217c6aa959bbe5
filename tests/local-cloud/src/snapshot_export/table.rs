//! The tables and rows of a snapshot, as a superuser reads them.
//!
//! Every value comes as text in hexadecimal, so that neither the client's separators nor its escapes can touch it.

use crate::engine::DatabaseEngine;
use crate::error::{Error, Result};
use crate::rds::DatabaseAccess;

#[derive(Debug)]
pub(super) struct Table {
    pub(super) database: String,
    /// For MySQL and MariaDB the database again.
    pub(super) schema: String,
    pub(super) name: String,
    pub(super) columns: Vec<Column>,
    /// Why RDS does not export it.
    pub(super) skipped: Option<String>,
}

#[derive(Debug)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) original_type: String,
    pub(super) kind: Kind,
}

/// What a column becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Boolean,
    Int32,
    Int64,
    Float,
    Double,
    Bytes,
    Text,
}

/// A row: its values as text (bytes as they are), or nothing.
pub(super) type Row = Vec<Option<Vec<u8>>>;

impl Kind {
    /// `expectedExportedType`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::Int32 => "int32",
            Self::Int64 => "int64",
            Self::Float => "float",
            Self::Double => "double",
            Self::Bytes => "binary",
            Self::Text => "binary (UTF8)",
        }
    }

    fn of_postgres(name: &str) -> Self {
        match name {
            "bool" => Self::Boolean,
            "int2" | "int4" => Self::Int32,
            "int8" => Self::Int64,
            "float4" => Self::Float,
            "float8" => Self::Double,
            "bytea" => Self::Bytes,
            _ => Self::Text,
        }
    }

    fn of_mariadb(name: &str, full: &str) -> Self {
        match name {
            "int" if full.contains("unsigned") => Self::Int64,
            "tinyint" | "smallint" | "mediumint" | "int" => Self::Int32,
            "bigint" if !full.contains("unsigned") => Self::Int64,
            "float" => Self::Float,
            "double" => Self::Double,
            "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" => Self::Bytes,
            _ => Self::Text,
        }
    }
}

fn is_postgres(engine: DatabaseEngine) -> bool {
    match engine {
        DatabaseEngine::Postgres | DatabaseEngine::AuroraPostgresql => true,
        DatabaseEngine::Mariadb | DatabaseEngine::Mysql | DatabaseEngine::AuroraMysql => false,
    }
}

impl Table {
    /// `database.schema.table`.
    pub(super) fn target(&self) -> String {
        format!("{}.{}.{}", self.database, self.schema, self.name)
    }

    /// Where its files are, below the task: characters that S3 paths are not to have become underscores.
    pub(super) fn folder(&self) -> String {
        format!("{}/{}.{}", self.database, self.schema, self.name).replace(['\\', '`', '"', ' '], "_")
    }

    /// Whether `ExportOnly` names it: by its database, and by its schema or its name as well.
    pub(super) fn is_chosen(&self, export_only: &[String]) -> bool {
        let whole =
            if self.schema == self.database { format!("{}.{}", self.database, self.name) } else { self.target() };
        let below = |name: &String| {
            whole == *name || whole.strip_prefix(name.as_str()).is_some_and(|rest| rest.starts_with('.'))
        };
        export_only.is_empty() || export_only.iter().any(below)
    }
}

/// Why RDS skips a table, by its names.
fn skipped(name: &str, columns: &[Column]) -> Option<String> {
    if name.contains('/') {
        return Some("Tables with slashes in their names are not exported".to_owned());
    }
    if columns.is_empty() {
        return Some("Tables without columns are not exported".to_owned());
    }
    let bad = columns.iter().find(|column| column.name.contains([',', ';', '{', '}', '(', ')', '\n', '\t', '=', ' ']));
    bad.map(|column| format!("The column name {} has characters that are not supported", column.name))
}

/// A string of SQL.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// An identifier of SQL.
fn identifier(engine: DatabaseEngine, name: &str) -> String {
    let mark = if is_postgres(engine) { "\"" } else { "`" };
    format!("{mark}{}{mark}", name.replace(mark, &mark.repeat(2)))
}

/// Selects expressions that give hexadecimal text; each row begins with a mark, so that no row is an empty line.
fn selection(engine: DatabaseEngine, expressions: &[String], from: &str) -> String {
    let (null, join) = if is_postgres(engine) { ("coalesce", " || ',' || ") } else { ("ifnull", ", ',', ") };
    let mut fields = vec!["'r'".to_owned()];
    fields.extend(expressions.iter().map(|expression| format!("{null}({expression}, '-')")));
    let line = fields.join(join);
    if is_postgres(engine) { format!("SELECT {line} {from};") } else { format!("SELECT concat({line}) {from};") }
}

/// The text of an expression, in hexadecimal.
fn hexadecimal(engine: DatabaseEngine, expression: &str) -> String {
    if is_postgres(engine) {
        format!("encode(convert_to(({expression})::text, 'UTF8'), 'hex')")
    } else {
        format!("hex(convert({expression} using utf8mb4))")
    }
}

async fn select(
    access: &DatabaseAccess,
    engine: DatabaseEngine,
    database: &str,
    expressions: &[String],
    from: &str,
) -> Result<Vec<Row>> {
    let output = access.sql(database, &selection(engine, expressions, from)).await?;
    output.lines().map(|line| parse(line, expressions.len())).collect()
}

fn parse(line: &str, columns: usize) -> Result<Row> {
    let unreadable =
        || Error::Call { operation: "a query".to_owned(), message: format!("a row is unreadable: {line}") };
    let value = |field: &str| if field == "-" { Some(None) } else { bytes(field).map(Some) };
    let row: Option<Row> = line.split(',').skip(1).map(value).collect();
    row.filter(|row| row.len() == columns).ok_or_else(unreadable)
}

fn bytes(field: &str) -> Option<Vec<u8>> {
    let pair = |at: usize| field.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    (0..field.len()).step_by(2).map(pair).collect()
}

fn text(value: Option<&Option<Vec<u8>>>) -> String {
    value.and_then(Option::as_ref).map(|bytes| String::from_utf8_lossy(bytes).into_owned()).unwrap_or_default()
}

/// All tables that a snapshot's export considers.
pub(super) async fn tables(access: &DatabaseAccess, engine: DatabaseEngine) -> Result<Vec<Table>> {
    if !is_postgres(engine) {
        return of_mariadb(access, engine).await;
    }
    let from = "FROM pg_database WHERE NOT datistemplate AND datname <> 'rdsadmin' ORDER BY datname";
    let databases = select(access, engine, "postgres", &[hexadecimal(engine, "datname")], from).await?;
    let mut all = Vec::new();
    for row in databases {
        all.extend(of_postgres(access, engine, &text(row.first())).await?);
    }
    Ok(all)
}

/// Rows of a catalogue, ordered by table, become tables. The fields: schema, table, column, type, name of the type, why
/// it is skipped.
fn gather(engine: DatabaseEngine, database: Option<&str>, rows: &[Row]) -> Vec<Table> {
    let mut tables: Vec<Table> = Vec::new();
    for row in rows {
        let field = |at: usize| text(row.get(at));
        let (schema, name) = (field(0), field(1));
        if tables.last().is_none_or(|table| table.schema != schema || table.name != name) {
            let database = database.map_or_else(|| schema.clone(), str::to_owned);
            let reason = Some(field(5)).filter(|reason| !reason.is_empty());
            tables.push(Table { database, schema, name, columns: Vec::new(), skipped: reason });
        }
        if row.get(2).is_some_and(Option::is_some)
            && let Some(table) = tables.last_mut()
        {
            let (original_type, short) = (field(3), field(4));
            let kind =
                if is_postgres(engine) { Kind::of_postgres(&short) } else { Kind::of_mariadb(&short, &original_type) };
            table.columns.push(Column { name: field(2), original_type, kind });
        }
    }
    for table in &mut tables {
        table.skipped = table.skipped.take().or_else(|| skipped(&table.name, &table.columns));
    }
    tables
}

async fn of_postgres(access: &DatabaseAccess, engine: DatabaseEngine, database: &str) -> Result<Vec<Table>> {
    let unlogged = literal("Unlogged tables are not exported");
    let reason = format!("CASE c.relpersistence WHEN 'p' THEN '' ELSE {unlogged} END");
    let fields = ["n.nspname", "c.relname", "a.attname", "format_type(a.atttypid, a.atttypmod)", "t.typname", &reason];
    let fields = fields.map(|field| hexadecimal(engine, field));
    let from = "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        LEFT JOIN pg_type t ON t.oid = a.atttypid
        WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname <> 'information_schema'
            AND n.nspname NOT LIKE 'pg\\_%'
        ORDER BY n.nspname, c.relname, a.attnum";
    let rows = select(access, engine, database, &fields, from).await?;
    Ok(gather(engine, Some(database), &rows))
}

async fn of_mariadb(access: &DatabaseAccess, engine: DatabaseEngine) -> Result<Vec<Table>> {
    let fields = ["c.table_schema", "c.table_name", "c.column_name", "c.column_type", "c.data_type", "''"];
    let fields = fields.map(|field| hexadecimal(engine, field));
    let from = "FROM information_schema.columns c
        JOIN information_schema.tables t ON t.table_schema = c.table_schema AND t.table_name = c.table_name
        WHERE t.table_type IN ('BASE TABLE', 'SYSTEM VERSIONED')
            AND t.table_schema NOT IN ('mysql', 'information_schema', 'performance_schema', 'sys')
        ORDER BY c.table_schema, c.table_name, c.ordinal_position";
    let rows = select(access, engine, "", &fields, from).await?;
    Ok(gather(engine, None, &rows))
}

/// All rows of a table.
pub(super) async fn rows(access: &DatabaseAccess, engine: DatabaseEngine, table: &Table) -> Result<Vec<Row>> {
    let expression = |column: &Column| {
        let name = identifier(engine, &column.name);
        match (is_postgres(engine), column.kind) {
            (true, Kind::Bytes) => format!("encode({name}, 'hex')"),
            (false, Kind::Bytes) => format!("hex({name})"),
            // A float as text has six digits; as a double it has all that it has.
            (false, Kind::Float) => hexadecimal(engine, &format!("cast({name} AS double)")),
            // Bits as a number.
            (false, Kind::Text) if column.original_type.starts_with("bit") => {
                hexadecimal(engine, &format!("{name} + 0"))
            }
            _ => hexadecimal(engine, &name),
        }
    };
    let expressions: Vec<String> = table.columns.iter().map(expression).collect();
    let from = format!("FROM {}.{}", identifier(engine, &table.schema), identifier(engine, &table.name));
    let database = if is_postgres(engine) { table.database.as_str() } else { "" };
    select(access, engine, database, &expressions, &from).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_parsed_with_empty_and_missing_values() {
        assert_eq!(parse("r,6869,,-,00ff", 4).unwrap(), [Some(b"hi".to_vec()), Some(vec![]), None, Some(vec![0, 255])]);
        assert_eq!(parse("r", 0).unwrap(), Row::new());
        for line in ["r,6", "r,zz", "r,00,00"] {
            assert!(parse(line, 1).is_err(), "{line}");
        }
    }

    #[test]
    fn a_table_is_chosen_by_any_of_its_names() {
        let table = |schema: &str| Table {
            database: "shop".to_owned(),
            schema: schema.to_owned(),
            name: "orders".to_owned(),
            columns: Vec::new(),
            skipped: None,
        };
        for (schema, name, chosen) in [
            ("public", "shop", true),
            ("public", "shop.public", true),
            ("public", "shop.public.orders", true),
            ("public", "shop.orders", false),
            ("public", "sho", false),
            ("shop", "shop.orders", true),
            ("shop", "shop.others", false),
        ] {
            assert_eq!(table(schema).is_chosen(&[name.to_owned()]), chosen, "{schema} {name}");
        }
        assert!(table("public").is_chosen(&[]));
    }
}
