//! Tables as Parquet: columns at the top of the schema, packed by snappy, zstd or not at all.
//!
//! What columns hold is said in [`table`](super::table). A group of rows is read by columns, some thousand rows at a time: names
//! become numbers where they are unpacked, so that a figure costs no look-up of a name. What a file has nested is left out.

mod cells;

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use ::parquet::errors::ParquetError;
use ::parquet::file::reader::{FileReader, SerializedFileReader};
use ::parquet::schema::types::ColumnDescriptor;

use self::cells::{Cells, Column, Holds};
use super::Progress;
use super::table::{Counts, Form, Intake, NOT_SAID, NodeKey, Options, Plan, Role, Symbol, TableError, Use, WrongCell};
use crate::history::{At, Caller, History, NodeAt};

/// Reads tables: of one after the other, all as one history.
///
/// # Errors
/// When a file cannot be read, its columns do not say what is needed, or most of its first rows cannot be read.
pub fn read(paths: &[PathBuf], options: &Options, progress: &mut dyn FnMut(Progress)) -> Result<History, TableError> {
    let size = |path: &PathBuf| path.metadata().map_or(0, |data| data.len());
    let of = paths.iter().map(size).sum();
    let mut before = 0;
    let mut intake = None;
    for path in paths {
        let name = path.display().to_string();
        let size = size(path);
        let mut tell = |done: u64, rows: u64| {
            let part = if rows == 0 {
                size
            } else {
                u64::try_from(u128::from(size) * u128::from(done) / u128::from(rows)).unwrap_or(size)
            };
            progress(Progress { what: name.clone(), done: before + part, of: Some(of) });
        };
        unbroken(&name, || file(&name, path, options, &mut intake, &mut tell))?;
        before += size;
    }
    let names: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
    let nothing = || TableError::Kind { file: "no file".into(), what: "no table was named".into() };
    intake.map(|intake| intake.finish(names.join(", "))).ok_or_else(nothing)
}

/// What reads a file may give up by a panic where bytes were changed; that is an error of the file, and nothing of it is kept.
fn unbroken(name: &str, read: impl FnOnce() -> Result<(), TableError>) -> Result<(), TableError> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| {
        let what = "is no Parquet that can be read: what it says of itself is not so; write it anew".to_owned();
        Err(TableError::Kind { file: name.to_owned(), what })
    })
}

fn file(
    name: &str,
    path: &Path,
    options: &Options,
    intake: &mut Option<Intake>,
    tell: &mut dyn FnMut(u64, u64),
) -> Result<(), TableError> {
    if path == Path::new("-") {
        let what = "Parquet is read from its end, so it cannot come in by a pipe: name a file".to_owned();
        return Err(TableError::Kind { file: "standard input".into(), what });
    }
    let unread = |error| TableError::Read { file: name.to_owned(), error };
    let wrong = |error: ParquetError| TableError::Kind {
        file: name.to_owned(),
        what: format!("is no Parquet that can be read: {error}"),
    };
    let reader = SerializedFileReader::new(File::open(path).map_err(unread)?).map_err(wrong)?;
    let metadata = reader.metadata().file_metadata();
    // Leaves of nested columns are no columns of the table; their places stay, under no name.
    let header: Vec<String> = (metadata.schema_descr().columns().iter())
        .map(|column| if is_flat(column) { column.name().to_owned() } else { String::new() })
        .collect();
    let plan = Plan::new(name, header, options)?;
    let rows = u64::try_from(metadata.num_rows()).unwrap_or(0);
    let intake = intake.get_or_insert_with(|| Intake::new(options, &plan));
    intake.begin(name);
    let mut sheet = Sheet { plan: &plan, intake, row: 0 };
    for group in 0..reader.num_row_groups() {
        let group = reader.get_row_group(group).map_err(wrong)?;
        let mut columns = Vec::new();
        for (at, holds) in sheet.wanted(metadata.schema_descr().columns()) {
            let most = group.metadata().column(at).column_descr().max_def_level();
            columns.push(Column::new(at, holds, group.get_column_reader(at).map_err(wrong)?, most, options.offset));
        }
        while sheet.batch(&mut columns, &wrong)? {
            tell(sheet.row, rows);
        }
    }
    tell(1, 1);
    intake.end(options.offset)
}

fn is_flat(column: &ColumnDescriptor) -> bool {
    column.path().parts().len() == 1 && column.max_rep_level() == 0
}

/// One file's rows, on their way in.
struct Sheet<'s> {
    plan: &'s Plan,
    intake: &'s mut Intake,
    /// Rows that were read.
    row: u64,
}

impl Sheet<'_> {
    /// The columns that are read, and what they hold.
    fn wanted(&mut self, columns: &[std::sync::Arc<ColumnDescriptor>]) -> Vec<(usize, Holds)> {
        let mut wanted = Vec::new();
        for (at, held) in self.plan.uses.iter().enumerate() {
            let Some(column) = columns.get(at) else { continue };
            let holds = match held {
                Use::Role(Role::Time) => Some(Holds::times(column)),
                Use::Role(Role::Node | Role::Metric | Role::Service | Role::Version | Role::Role | Role::Zone) => {
                    Some(Holds::Names)
                }
                Use::Role(Role::Route | Role::Caller | Role::CallerService) | Use::Attribute => Some(Holds::Texts),
                Use::Role(Role::Value | Role::Capacity | Role::Count | Role::Failed | Role::Took | Role::Busy) => {
                    Some(Holds::numbers(column))
                }
                Use::Metric { sure } => Some(Holds::numbers(column)).filter(|_| *sure || !Holds::is_text(column)),
                Use::Nothing => None,
            };
            if holds.is_none() && matches!(held, Use::Metric { .. }) && self.row == 0 {
                self.intake
                    .remark(format!("column `{}` holds text, which is no metric: left out", self.plan.header[at]), 1);
            }
            wanted.extend(holds.map(|holds| (at, holds)));
        }
        wanted
    }

    /// Takes some rows; whether there were any.
    fn batch(
        &mut self,
        columns: &mut [Column],
        wrong: &dyn Fn(ParquetError) -> TableError,
    ) -> Result<bool, TableError> {
        let mut rows = usize::MAX;
        for column in columns.iter_mut() {
            rows = rows.min(column.fill(BATCH, self.intake).map_err(wrong)?);
        }
        if rows == 0 || rows == usize::MAX {
            return Ok(false);
        }
        let batch = Batch { plan: self.plan, columns, rows };
        let places = self.places(&batch)?;
        match self.plan.form {
            Form::Long => self.long(&batch, &places),
            Form::Wide => self.wide(&batch, &places),
            Form::Requests => self.requests(&batch, &places),
        }
        self.row += rows as u64;
        Ok(true)
    }

    /// When and of which node each row is; `None` of one that does not say.
    fn places(&mut self, batch: &Batch<'_>) -> Result<Vec<Option<(At, NodeAt)>>, TableError> {
        let [node, service, version, role, zone] =
            [Role::Node, Role::Service, Role::Version, Role::Role, Role::Zone].map(|role| batch.names(role));
        let (times, capacities) = (batch.times(), batch.numbers(Role::Capacity));
        let mut places = Vec::with_capacity(batch.rows);
        let mut good = 0;
        let mut last = None;
        for row in 0..batch.rows {
            let symbol = |names: &[Symbol]| names.get(row).copied().unwrap_or(NOT_SAID);
            let key = NodeKey {
                name: symbol(node),
                service: symbol(service),
                version: symbol(version),
                role: symbol(role),
                zone: symbol(zone),
            };
            let at = times.get(row).copied().flatten();
            let wrong = match (at, key.name) {
                (None, _) => Some((Role::Time, "a time")),
                (Some(_), NOT_SAID) => Some((Role::Node, "a node's name")),
                (Some(_), _) => None,
            };
            if let Some((role, expected)) = wrong {
                self.intake.rows(1, Some(self.wrong(row, role, expected)))?;
                places.push(None);
                continue;
            }
            good += 1;
            let node = match last {
                Some((known, node)) if known == key => node,
                Some(_) | None => self.intake.node(key),
            };
            last = Some((key, node));
            if let (Some(node), Some(capacity)) = (node, capacities.get(row).filter(|capacity| !capacity.is_nan())) {
                self.intake.capacity(node, *capacity);
            }
            places.push(at.zip(node));
        }
        self.intake.rows(good, None)?;
        Ok(places)
    }

    fn wrong(&self, row: usize, role: Role, expected: &'static str) -> WrongCell {
        let column = self.plan.column(role).map(|at| self.plan.header[at].clone()).unwrap_or_default();
        WrongCell { line: self.row + row as u64 + 1, column, found: "nothing that is one".into(), expected }
    }

    fn long(&mut self, batch: &Batch<'_>, places: &[Option<(At, NodeAt)>]) {
        let (metrics, values) = (batch.names(Role::Metric), batch.numbers(Role::Value));
        for ((place, metric), value) in places.iter().zip(metrics).zip(values) {
            let (Some((at, node)), Some(measure)) = (place, self.intake.measure(*metric)) else { continue };
            self.intake.sample(*node, measure, *at, *value);
        }
    }

    fn wide(&mut self, batch: &Batch<'_>, places: &[Option<(At, NodeAt)>]) {
        for (at, _) in self.plan.metrics() {
            let Some(Cells::Numbers(values)) = batch.cells(at) else { continue };
            let name = self.intake.symbol(&self.plan.header[at]);
            let Some(measure) = self.intake.measure(name) else { continue };
            for (place, value) in places.iter().zip(values) {
                if let Some((at, node)) = place {
                    self.intake.sample(*node, measure, *at, *value);
                }
            }
        }
    }

    fn requests(&mut self, batch: &Batch<'_>, places: &[Option<(At, NodeAt)>]) {
        let column = |role| batch.plan.column(role).is_some();
        let [counts, failures, took, busy] =
            [Role::Count, Role::Failed, Role::Took, Role::Busy].map(|role| batch.numbers(role));
        let [routes, callers, services] = [Role::Route, Role::Caller, Role::CallerService]
            .map(|role| batch.plan.column(role).and_then(|at| batch.cells(at)));
        let attributes: Vec<_> = (batch.columns.iter())
            .filter(|column| self.plan.uses[column.at] == Use::Attribute)
            .map(|column| (self.plan.header[column.at].as_str(), &column.cells))
            .collect();
        for (row, place) in places.iter().enumerate() {
            let number = |values: &[f64]| values.get(row).copied().filter(|value| !value.is_nan());
            let count = if column(Role::Count) { number(counts).map_or(0, whole) } else { 1 };
            let (Some(place), true) = (place, count > 0) else { continue };
            let one = number(took).map(|took| took * self.plan.took_unit * count as f64);
            let busy = number(busy).map(|busy| busy * self.plan.busy_unit).or(one);
            let failed = number(failures).map_or(0, whole);
            let route = routes.map(|cells| cells.text(row)).unwrap_or_default();
            let values: Vec<_> = attributes.iter().map(|(name, cells)| (*name, cells.text(row))).collect();
            let values: Vec<_> =
                values.iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| (*name, &**value)).collect();
            self.intake.requests(*place, &route, Counts { count, failed, busy }, &values);
            let [instance, service] = [callers, services].map(|cells| cells.map(|cells| cells.text(row)));
            let caller = Caller::named(service.as_deref(), instance.as_deref());
            self.intake.called(*place, &route, caller, count);
        }
    }
}

/// Some rows of all columns.
struct Batch<'b> {
    plan: &'b Plan,
    columns: &'b [Column],
    rows: usize,
}

impl<'b> Batch<'b> {
    fn cells(&self, at: usize) -> Option<&'b Cells> {
        self.columns.iter().find(|column| column.at == at).map(|column| &column.cells)
    }

    fn times(&self) -> &'b [Option<At>] {
        match self.plan.column(Role::Time).and_then(|at| self.cells(at)) {
            Some(Cells::Times(times)) => times,
            Some(Cells::Names(_) | Cells::Texts(_) | Cells::Numbers(_)) | None => &[],
        }
    }

    fn names(&self, role: Role) -> &'b [Symbol] {
        match self.plan.column(role).and_then(|at| self.cells(at)) {
            Some(Cells::Names(names)) => names,
            Some(Cells::Times(_) | Cells::Texts(_) | Cells::Numbers(_)) | None => &[],
        }
    }

    fn numbers(&self, role: Role) -> &'b [f64] {
        match self.plan.column(role).and_then(|at| self.cells(at)) {
            Some(Cells::Numbers(numbers)) => numbers,
            Some(Cells::Times(_) | Cells::Texts(_) | Cells::Names(_)) | None => &[],
        }
    }
}

fn whole(number: f64) -> u64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates; what is negative is none")]
    {
        number.round() as u64
    }
}

/// Rows that are taken at a time. Source: ours; their cells stay in a core's own cache.
const BATCH: usize = 8_192;
