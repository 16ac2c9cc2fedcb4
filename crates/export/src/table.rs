//! A Parquet file of all trials, a row for each: what is a number in the study is one in the file.

use std::io::{self, Write};
use std::sync::Arc;

use parquet::basic::{LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::Type;
use trialmill_core::config::Value;
use trialmill_core::space::Domain;
use trialmill_core::trial::Trial;
use trialmill_view::Live;
use trialmill_view::figures::{Axes, AxisKind, objectives};

/// Rows whose columns are in memory together.
const ROWS: usize = 100_000;

/// One cell of a trial; none where it has no such thing.
type Of<'a, T> = Box<dyn Fn(&Trial) -> Option<T> + 'a>;

/// What a column has of a trial.
enum Cells<'a> {
    Text(Of<'a, String>),
    Real(Of<'a, f64>),
    Whole(Of<'a, i64>),
    /// Seconds since 1970.
    Time(Of<'a, f64>),
}

/// Writes all trials.
///
/// # Errors
/// It cannot be written.
pub fn parquet(live: &Live, to: impl Write + Send) -> io::Result<usize> {
    let columns = columns(live);
    write(live, &columns, to).map_err(|error| match error {
        ParquetError::External(cause) => io::Error::other(cause),
        error => io::Error::other(error),
    })?;
    Ok(live.study().trials().len())
}

fn write(
    live: &Live,
    columns: &[(String, Cells<'_>)],
    to: impl Write + Send,
) -> Result<(), ParquetError> {
    let fields = columns.iter().map(|(name, cells)| {
        let (kind, logical) = match cells {
            Cells::Text(_) => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
            Cells::Real(_) => (Physical::DOUBLE, None),
            Cells::Whole(_) => (Physical::INT64, None),
            Cells::Time(_) => {
                (Physical::INT64, Some(LogicalType::timestamp(true, TimeUnit::MICROS)))
            }
        };
        let field = Type::primitive_type_builder(name, kind).with_repetition(Repetition::OPTIONAL);
        field.with_logical_type(logical).build().map(Arc::new)
    });
    let fields = fields.collect::<Result<Vec<_>, _>>()?;
    let schema = Arc::new(Type::group_type_builder("study").with_fields(fields).build()?);
    let properties = Arc::new(WriterProperties::builder().build());
    let mut file = SerializedFileWriter::new(to, schema, properties)?;
    let trials = live.study().trials();
    for from in (0..trials.len()).step_by(ROWS) {
        let rows = || (from..trials.len().min(from + ROWS)).map(|at| trials.at(at as u32));
        let mut group = file.next_row_group()?;
        for (_, cells) in columns {
            match cells {
                Cells::Text(of) => column::<ByteArrayType>(
                    &mut group,
                    rows().map(|trial| of(trial).map(|text| ByteArray::from(text.into_bytes()))),
                )?,
                Cells::Real(of) => column::<DoubleType>(&mut group, rows().map(of))?,
                Cells::Whole(of) => column::<Int64Type>(&mut group, rows().map(of))?,
                Cells::Time(of) => column::<Int64Type>(
                    &mut group,
                    rows().map(|trial| of(trial).map(|seconds| (seconds * 1e6).round() as i64)),
                )?,
            }
        }
        group.close()?;
    }
    file.close().map(drop)
}

fn column<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, impl Write + Send>,
    cells: impl Iterator<Item = Option<T::T>>,
) -> Result<(), ParquetError> {
    let (mut values, mut levels) = (Vec::new(), Vec::new());
    for cell in cells {
        levels.push(i16::from(cell.is_some()));
        values.extend(cell);
    }
    let missing = || ParquetError::General("there is no such column".into());
    let mut writer = group.next_column()?.ok_or_else(missing)?;
    writer.typed::<T>().write_batch(&values, Some(&levels), None)?;
    writer.close()
}

/// The columns, with the names that `trials --csv` has.
fn columns(live: &Live) -> Vec<(String, Cells<'_>)> {
    let mut columns: Vec<(String, Cells<'_>)> = vec![
        ("id".into(), Cells::Text(Box::new(|trial| Some(trial.id.to_string())))),
        ("state".into(), Cells::Text(Box::new(|trial| Some(trial.state.name().into())))),
    ];
    let axes = Axes::of(live);
    for (i, axis) in axes.list().iter().enumerate() {
        let name = axis.name.clone();
        let is_whole = matches!(axes.domain(i), Domain::Int { .. });
        let cells = match axis.kind {
            AxisKind::Int if is_whole => {
                Cells::Whole(Box::new(move |trial: &Trial| match trial.config.get(&name)? {
                    Value::Int(n) => Some(*n),
                    _ => None,
                }))
            }
            AxisKind::Float => {
                Cells::Real(Box::new(move |trial: &Trial| trial.config.get(&name)?.as_f64()))
            }
            _ => Cells::Text(Box::new(move |trial: &Trial| {
                Some(trial.config.get(&name)?.to_string())
            })),
        };
        columns.push((format!("config.{}", axis.name), cells));
    }
    for (k, objective) in objectives(live).into_iter().enumerate() {
        let of = move |trial: &Trial| trial.objectives().get(k).copied();
        // One without a name is called as in the table.
        let name = match objective.name.starts_with("objective") {
            true => objective.name,
            false => format!("objective.{}", objective.name),
        };
        columns.push((name, Cells::Real(Box::new(of))));
    }
    let report = |trial: &Trial| trial.report.as_ref()?.cost;
    columns.push(("cost".into(), Cells::Real(Box::new(report))));
    let failure = |trial: &Trial| {
        let report = trial.report.as_ref()?;
        report.failure.as_ref().map(|failure| failure.err.clone())
    };
    columns.push(("err".into(), Cells::Text(Box::new(failure))));
    let duration = |trial: &Trial| trial.metadata.evaluation_duration;
    columns.push(("evaluation_duration".into(), Cells::Real(Box::new(duration))));
    let sampled = |trial: &Trial| Some(trial.metadata.time_sampled);
    columns.push(("time_sampled".into(), Cells::Time(Box::new(sampled))));
    let started = |trial: &Trial| trial.metadata.time_started;
    columns.push(("time_started".into(), Cells::Time(Box::new(started))));
    columns.push(("time_end".into(), Cells::Time(Box::new(|trial| trial.metadata.time_end))));
    let worker = |trial: &Trial| trial.metadata.evaluating_worker_id.as_deref().map(str::to_string);
    columns.push(("evaluating_worker_id".into(), Cells::Text(Box::new(worker))));
    columns
        .push(("attempts".into(), Cells::Whole(Box::new(|trial| Some(i64::from(trial.attempts))))));
    columns
}
