//! Tables as CSV: with commas, semicolons, tabs or bars, quotes or none, and a header.
//!
//! What rows hold is said in [`table`](super::table). Files packed by gzip or zstd are unpacked on the way. A semicolon between cells lets a number have a decimal comma.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use ::csv::{ByteRecord, ErrorKind, ReaderBuilder};

use super::packed::{Foreign, Unpacked};
use super::table::{Counts, Form, Intake, NOT_SAID, NodeKey, Options, Plan, Role, Symbol, TableError, Use, WrongCell};
use super::{Progress, moment};
use crate::history::{At, Caller, History, NodeAt};

/// Reads tables: of one after the other, all as one history. The path `-` is what comes in.
///
/// # Errors
/// When a file cannot be read, its header does not say what is needed, or most of its first rows cannot be read.
pub fn read(paths: &[PathBuf], options: &Options, progress: &mut dyn FnMut(Progress)) -> Result<History, TableError> {
    let size = |path: &PathBuf| path.metadata().ok().filter(|_| path != Path::new("-")).map(|data| data.len());
    let mut told = Told { progress, before: 0, of: paths.iter().map(size).sum() };
    let mut intake = None;
    for path in paths {
        let name = path.display().to_string();
        if path == Path::new("-") {
            file("standard input", &mut io::stdin().lock(), options, &mut intake, &mut told)?;
        } else {
            let mut input = File::open(path).map_err(|error| TableError::Read { file: name.clone(), error })?;
            file(&name, &mut input, options, &mut intake, &mut told)?;
        }
    }
    let names: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
    intake.map(|intake| intake.finish(names.join(", "))).ok_or_else(nothing)
}

/// Reads one table from whatever can be read, which people call `name`.
///
/// # Errors
/// As [`read`].
pub fn read_from(
    name: &str,
    mut input: impl Read,
    options: &Options,
    progress: &mut dyn FnMut(Progress),
) -> Result<History, TableError> {
    let mut intake = None;
    file(name, &mut input, options, &mut intake, &mut Told { progress, before: 0, of: None })?;
    intake.map(|intake| intake.finish(name.to_owned())).ok_or_else(nothing)
}

fn nothing() -> TableError {
    TableError::Kind { file: "no file".into(), what: "no table was named".into() }
}

/// Who is told how far the reading is.
struct Told<'p> {
    progress: &'p mut dyn FnMut(Progress),
    before: u64,
    of: Option<u64>,
}

fn file(
    name: &str,
    input: &mut dyn Read,
    options: &Options,
    intake: &mut Option<Intake>,
    told: &mut Told<'_>,
) -> Result<(), TableError> {
    let failed = |error| TableError::Read { file: name.to_owned(), error };
    let kind = |what: String| TableError::Kind { file: name.to_owned(), what };
    let input = Unpacked::new(input).map_err(failed)?;
    let mut input = input.map_err(|Foreign(tool)| {
        kind(format!("is compressed; unpack it on the way, as in `{tool} {name} | ambidex diagnose --csv -`"))
    })?;
    let mut head = Vec::new();
    Read::take(&mut input, HEAD as u64).read_to_end(&mut head).map_err(failed)?;
    if let Some(why) = input.broken().filter(|_| head.is_empty()) {
        return Err(kind(format!("{why}, and no line stands before that; fetch the file again")));
    }
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&head);
    let mark = mark_of(text);
    let mut reader = ReaderBuilder::new()
        .delimiter(mark)
        .has_headers(false)
        .flexible(true)
        .buffer_capacity(HEAD)
        .from_reader(text.chain(input));
    let mut record = ByteRecord::new();
    let unread = |error: ::csv::Error| {
        let what = format!("is no CSV: {error}");
        if let ErrorKind::Io(error) = error.into_kind() {
            return failed(error);
        }
        kind(what)
    };
    if !reader.read_byte_record(&mut record).map_err(unread)? {
        return Err(kind("is empty: a header was expected".into()));
    }
    let header: Vec<String> = record.iter().map(|cell| String::from_utf8_lossy(cell).trim().to_owned()).collect();
    let plan = Plan::new(name, header, options)?;
    let intake = intake.get_or_insert_with(|| Intake::new(options, &plan));
    intake.begin(name);
    let mut sheet = Sheet::new(&plan, intake, options.offset, mark == b';');
    let mut rows = 0_u64;
    while reader.read_byte_record(&mut record).map_err(unread)? {
        let wrong = sheet.row(&record).err();
        sheet.intake.rows(1, wrong)?;
        rows += 1;
        if rows.is_multiple_of(TELL) {
            let done = told.before + reader.get_ref().get_ref().1.taken();
            (told.progress)(Progress { what: name.to_owned(), done, of: told.of });
        }
    }
    sheet.end();
    let input = reader.get_ref().get_ref().1;
    told.before += input.taken();
    if let Some(broken) = input.broken() {
        intake.lacks(format!("{name}: {broken}"));
    }
    (told.progress)(Progress { what: name.to_owned(), done: told.before, of: told.of });
    intake.end(options.offset)
}

/// What stands between cells: what the header has most of.
fn mark_of(head: &[u8]) -> u8 {
    let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let many = |mark: u8| line.iter().filter(|byte| **byte == mark).count();
    // Of two that are there as often, the first.
    [b'|', b'\t', b';', b','].into_iter().max_by_key(|mark| many(*mark)).unwrap_or(b',')
}

/// One file's rows, on their way in.
struct Sheet<'s> {
    plan: &'s Plan,
    intake: &'s mut Intake,
    offset: i32,
    decimal_comma: bool,
    columns: Columns,
    metrics: Vec<MetricColumn>,
    attributes: Vec<usize>,
}

/// Where everything stands but metrics.
struct Columns {
    time: usize,
    node: usize,
    metric: Option<usize>,
    value: Option<usize>,
    service: Option<usize>,
    version: Option<usize>,
    role: Option<usize>,
    zone: Option<usize>,
    capacity: Option<usize>,
    route: Option<usize>,
    count: Option<usize>,
    failed: Option<usize>,
    took: Option<usize>,
    busy: Option<usize>,
    caller: Option<usize>,
    caller_service: Option<usize>,
}

/// A column of a metric in a wide table.
struct MetricColumn {
    at: usize,
    sure: bool,
    measure: Option<usize>,
    /// Cells with text in a column that nothing said to be of numbers.
    texts: u64,
    numbers: bool,
}

impl<'s> Sheet<'s> {
    fn new(plan: &'s Plan, intake: &'s mut Intake, offset: i32, decimal_comma: bool) -> Self {
        let column = |role| plan.column(role);
        let columns = Columns {
            time: column(Role::Time).unwrap_or_default(),
            node: column(Role::Node).unwrap_or_default(),
            metric: column(Role::Metric),
            value: column(Role::Value),
            service: column(Role::Service),
            version: column(Role::Version),
            role: column(Role::Role),
            zone: column(Role::Zone),
            capacity: column(Role::Capacity),
            route: column(Role::Route),
            count: column(Role::Count),
            failed: column(Role::Failed),
            took: column(Role::Took),
            busy: column(Role::Busy),
            caller: column(Role::Caller),
            caller_service: column(Role::CallerService),
        };
        let metrics =
            plan.metrics().map(|(at, sure)| MetricColumn { at, sure, measure: None, texts: 0, numbers: false });
        let metrics = metrics.collect();
        let attributes = (0..plan.uses.len()).filter(|at| plan.uses[*at] == Use::Attribute).collect();
        Self { plan, intake, offset, decimal_comma, columns, metrics, attributes }
    }

    fn row(&mut self, record: &ByteRecord) -> Result<(), WrongCell> {
        if record.len() != self.plan.header.len() {
            let found = format!("{} cells", record.len());
            return Err(WrongCell {
                line: line(record),
                column: "(all)".into(),
                found,
                expected: "as many as the header has",
            });
        }
        let at = self.time(record)?;
        let Some(node) = self.node(record)? else { return Ok(()) };
        match self.plan.form {
            Form::Long => self.long(record, at, node),
            Form::Wide => self.wide(record, at, node),
            Form::Requests => self.requests(record, at, node),
        }
    }

    fn time(&mut self, record: &ByteRecord) -> Result<At, WrongCell> {
        let text = text(record, self.columns.time);
        let moment = moment::read(&text, self.offset).ok_or_else(|| self.wrong(record, self.columns.time, A_TIME))?;
        if !moment.zoned {
            self.intake.zoneless(1);
        }
        Ok(moment.at)
    }

    fn node(&mut self, record: &ByteRecord) -> Result<Option<NodeAt>, WrongCell> {
        let name = text(record, self.columns.node);
        if name.trim().is_empty() {
            return Err(self.wrong(record, self.columns.node, "a node's name"));
        }
        let mut symbol = |column: Option<usize>| match column {
            Some(column) => self.intake.symbol(&text(record, column)),
            None => NOT_SAID,
        };
        let Columns { node, service, version, role, zone, capacity, .. } = self.columns;
        let key = NodeKey {
            name: symbol(Some(node)),
            service: symbol(service),
            version: symbol(version),
            role: symbol(role),
            zone: symbol(zone),
        };
        let Some(node) = self.intake.node(key) else { return Ok(None) };
        if let Some(capacity) = self.number(record, capacity)? {
            self.intake.capacity(node, capacity);
        }
        Ok(Some(node))
    }

    fn long(&mut self, record: &ByteRecord, at: At, node: NodeAt) -> Result<(), WrongCell> {
        let (Some(metric), value) = (self.columns.metric, self.columns.value) else { return Ok(()) };
        let Some(value) = self.number(record, value)? else { return Ok(()) };
        let metric: Symbol = self.intake.symbol(&text(record, metric));
        if let Some(measure) = self.intake.measure(metric) {
            self.intake.sample(node, measure, at, value);
        }
        Ok(())
    }

    fn wide(&mut self, record: &ByteRecord, at: At, node: NodeAt) -> Result<(), WrongCell> {
        let mut wrong = None;
        for column in &mut self.metrics {
            match number(&text(record, column.at), self.decimal_comma) {
                Ok(None) => {}
                Ok(Some(value)) => {
                    column.numbers = true;
                    if column.measure.is_none() {
                        let name = self.intake.symbol(&self.plan.header[column.at]);
                        column.measure = self.intake.measure(name);
                    }
                    if let Some(measure) = column.measure {
                        self.intake.sample(node, measure, at, value);
                    }
                }
                Err(()) if column.sure || column.numbers => wrong = wrong.or(Some(column.at)),
                Err(()) => column.texts += 1,
            }
        }
        wrong.map_or(Ok(()), |column| Err(self.wrong(record, column, A_NUMBER)))
    }

    fn requests(&mut self, record: &ByteRecord, at: At, node: NodeAt) -> Result<(), WrongCell> {
        let Columns { route, count, failed, took, busy, caller, caller_service, .. } = self.columns;
        let count = match count {
            Some(_) => whole(self.number(record, count)?),
            None => 1,
        };
        let failed = whole(self.number(record, failed)?);
        let one = self.number(record, took)?.map(|took| took * self.plan.took_unit * count as f64);
        let busy = self.number(record, busy)?.map(|busy| busy * self.plan.busy_unit).or(one);
        let route = route.map_or(Cow::Borrowed(""), |column| text(record, column));
        let texts: Vec<_> = self.attributes.iter().map(|column| (*column, text(record, *column))).collect();
        let values: Vec<_> = (texts.iter())
            .filter(|(_, value)| !value.is_empty())
            .map(|(column, value)| (self.plan.header[*column].as_str(), &**value))
            .collect();
        if count > 0 {
            self.intake.requests((at, node), &route, Counts { count, failed, busy }, &values);
            let [instance, service] = [caller, caller_service].map(|column| column.map(|column| text(record, column)));
            let caller = Caller::named(service.as_deref(), instance.as_deref());
            self.intake.called((at, node), &route, caller, count);
        }
        Ok(())
    }

    fn number(&self, record: &ByteRecord, column: Option<usize>) -> Result<Option<f64>, WrongCell> {
        let Some(column) = column else { return Ok(None) };
        number(&text(record, column), self.decimal_comma).map_err(|()| self.wrong(record, column, A_NUMBER))
    }

    fn wrong(&self, record: &ByteRecord, column: usize, expected: &'static str) -> WrongCell {
        let found = text(record, column).chars().take(LONGEST_FOUND).collect();
        WrongCell { line: line(record), column: self.plan.header[column].clone(), found, expected }
    }

    /// Says which columns were left out because they hold text.
    fn end(&mut self) {
        for column in self.metrics.iter().filter(|column| column.texts > 0) {
            let what = format!("column `{}` holds text, which is no metric: left out", self.plan.header[column.at]);
            self.intake.remark(what, column.texts);
        }
    }
}

fn line(record: &ByteRecord) -> u64 {
    record.position().map_or(0, ::csv::Position::line)
}

fn text(record: &ByteRecord, column: usize) -> Cow<'_, str> {
    String::from_utf8_lossy(record.get(column).unwrap_or_default())
}

/// A number; `None` of what says that there is none.
fn number(text: &str, decimal_comma: bool) -> Result<Option<f64>, ()> {
    let text = text.trim();
    if let Ok(number) = text.parse::<f64>() {
        return Ok(Some(number).filter(|number| !number.is_nan()));
    }
    if NO_NUMBER.iter().any(|none| none.eq_ignore_ascii_case(text)) {
        return Ok(None);
    }
    // The column's name says, or its size, that it is percent.
    if let Some(percent) = text.strip_suffix('%') {
        return number(percent, decimal_comma);
    }
    match text.split_once(',').filter(|_| decimal_comma) {
        Some((whole, part)) => format!("{whole}.{part}").parse().map(Some).map_err(drop),
        None => Err(()),
    }
}

fn whole(number: Option<f64>) -> u64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates; what is negative is none")]
    number.map_or(0, |number| number.round() as u64)
}

const NO_NUMBER: [&str; 8] = ["", "-", "null", "na", "n/a", "none", "undefined", "stale"];
const A_TIME: &str = "a time, as 2026-11-22T10:15:30Z or 1795342530";
const A_NUMBER: &str = "a number";
/// Bytes that are read at a time. Source: ours.
const HEAD: usize = 1 << 18;
/// Rows between two tellings of how far it is. Source: ours; some of a second.
const TELL: u64 = 1 << 16;
/// Letters of a cell that an error shows. Source: ours.
const LONGEST_FOUND: usize = 60;
