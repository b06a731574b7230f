//! Traces: what others do to a GPU over time, as CSV.
//!
//! Columns `seconds,vram_total_mib,external_vram_mib,external_gpu_percent,generating`; an empty utilization is unknown.

/// One row of a trace.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row {
    /// Time, seconds from the start of the recording; it grows from row to row.
    pub seconds: f64,
    /// VRAM of the card, MiB.
    pub vram_total_mib: u64,
    /// VRAM in use by others, MiB.
    pub external_vram_mib: u64,
    /// Utilization by others, 0-100.
    pub external_gpu_percent: Option<f32>,
    /// Whether Workly is writing an answer.
    pub generating: bool,
}

impl Row {
    /// Time, milliseconds.
    pub fn milliseconds(&self) -> u64 {
        (self.seconds * 1000.0).round() as u64
    }
}

/// A trace: at least one row.
#[derive(Debug, Clone, PartialEq)]
pub struct Trace {
    rows: Vec<Row>,
}

/// Why a text is no trace. Lines count from 1, the header included.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TraceError {
    /// The first line is not the header.
    #[error("line 1: the header must be '{HEADER}', not '{0}'")]
    Header(String),
    /// A line with too few or too many values.
    #[error("line {line}: {found} values where the header names 5")]
    Columns {
        /// Where.
        line: usize,
        /// How many there are.
        found: usize,
    },
    /// A value that cannot be used.
    #[error("line {line}: {column} is '{value}': {expected}")]
    Value {
        /// Where.
        line: usize,
        /// Which.
        column: &'static str,
        /// What it says.
        value: String,
        /// What it should say.
        expected: &'static str,
    },
    /// Nothing but a header.
    #[error("the trace has no rows")]
    Empty,
}

const HEADER: &str = "seconds,vram_total_mib,external_vram_mib,external_gpu_percent,generating";
/// Longest time and largest card a trace may speak of: within it, every sum is exact.
const MOST: u64 = 1 << 40;

impl Trace {
    /// Reads a trace. Empty lines, a byte order mark and Windows line ends are accepted.
    ///
    /// # Errors
    /// The first line that cannot be used, and why.
    pub fn parse(text: &str) -> Result<Self, TraceError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut lines = (1..).zip(text.lines().map(str::trim_end));
        let header = lines.next().map_or("", |(_, line)| line);
        if !header.split(',').map(str::trim).eq(HEADER.split(',')) {
            return Err(TraceError::Header(header.chars().take(100).collect()));
        }
        let mut rows: Vec<Row> = Vec::new();
        for (line, text) in lines.filter(|(_, text)| !text.is_empty()) {
            rows.push(row(line, text, rows.last())?);
        }
        if rows.is_empty() { Err(TraceError::Empty) } else { Ok(Self { rows }) }
    }

    /// A trace of these rows, which are in order of time; `None` of no rows.
    pub(super) fn from_rows(rows: Vec<Row>) -> Option<Self> {
        (!rows.is_empty()).then_some(Self { rows })
    }

    /// The rows, in order of time.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }
}

fn row(line: usize, text: &str, before: Option<&Row>) -> Result<Row, TraceError> {
    let values: Vec<_> = text.split(',').map(str::trim).collect();
    let &[seconds, total, external, gpu, generating] = values.as_slice() else {
        return Err(TraceError::Columns { line, found: values.len() });
    };
    let wrong = |column, value: &str, expected| TraceError::Value { line, column, value: value.to_owned(), expected };
    let mib = |column, value: &str, least: u64, expected| {
        value.parse().ok().filter(|mib| (least..=MOST).contains(mib)).ok_or_else(|| wrong(column, value, expected))
    };
    let seconds_value: f64 = (seconds.parse().ok())
        .filter(|time: &f64| (0.0..=MOST as f64).contains(time))
        .ok_or_else(|| wrong("seconds", seconds, "a number of seconds from 0 on is needed"))?;
    if before.is_some_and(|before| before.seconds >= seconds_value) {
        return Err(wrong("seconds", seconds, "time must grow from line to line"));
    }
    let external_gpu_percent = match gpu {
        "" => None,
        gpu => Some(
            (gpu.parse().ok())
                .filter(|percent: &f32| (0.0..=100.0).contains(percent))
                .ok_or_else(|| wrong("external_gpu_percent", gpu, "a number from 0 to 100, or nothing, is needed"))?,
        ),
    };
    Ok(Row {
        seconds: seconds_value,
        vram_total_mib: mib("vram_total_mib", total, 1, "a whole number of MiB from 1 on is needed")?,
        external_vram_mib: mib("external_vram_mib", external, 0, "a whole number of MiB is needed")?,
        external_gpu_percent,
        generating: match generating {
            "0" => false,
            "1" => true,
            other => return Err(wrong("generating", other, "0 or 1 is needed")),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(rows: &str) -> Result<Trace, TraceError> {
        Trace::parse(&format!("{HEADER}\n{rows}"))
    }

    #[test]
    fn a_trace_is_read_with_windows_line_ends_and_an_unknown_utilization() {
        let text = format!("\u{feff}{HEADER}\r\n0.0,6141,249,3.5,1\r\n\r\n0.5,6141,258,,0\r\n");
        let trace = Trace::parse(&text).unwrap();
        assert_eq!(trace.rows().len(), 2);
        assert_eq!(trace.rows()[1].external_gpu_percent, None);
        assert_eq!(trace.rows()[1].milliseconds(), 500);
    }

    #[test]
    fn an_error_names_the_line_and_the_column() {
        for (rows, expected) in [
            ("0,6141,249,3.5", "line 2: 4 values where the header names 5"),
            ("0,6141,249,3,1\nx,1,1,1,1", "line 3: seconds is 'x': a number of seconds from 0 on is needed"),
            ("1,6141,249,3,1\n1,6141,249,3,1", "line 3: seconds is '1': time must grow from line to line"),
            ("0,0,249,3,1", "line 2: vram_total_mib is '0': a whole number of MiB from 1 on is needed"),
            ("0,10,-4,3,1", "line 2: external_vram_mib is '-4': a whole number of MiB is needed"),
            ("0,10,4,NaN,1", "line 2: external_gpu_percent is 'NaN': a number from 0 to 100, or nothing, is needed"),
            ("0,10,4,3,yes", "line 2: generating is 'yes': 0 or 1 is needed"),
            ("", "the trace has no rows"),
        ] {
            assert_eq!(parse(rows).unwrap_err().to_string(), expected, "{rows}");
        }
        let message = Trace::parse("time,load\n1,2").unwrap_err().to_string();
        assert!(message.starts_with("line 1: the header must be 'seconds,"), "{message}");
        assert!(Trace::parse("").is_err());
    }
}
