//! The text of a table of cases: columns separated by commas, and what their cells mean.

use std::path::Path;

use super::CasesError;
use crate::element::Timestamp;

/// What a column holds. Where it belongs to one of several inputs or outputs, its head ends in the name of that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Column {
    Record(Option<String>),
    Watermark(Option<String>),
    ProcessingTime,
    Expect(Option<String>),
}

/// A row: its line in the file, and its cells that are not empty. Every `expect` is there, empty or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) line: usize,
    pub(super) cells: Vec<(Column, String)>,
}

/// What a watermark cell says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Says {
    Watermark(Timestamp),
    Idle,
    End,
}

/// An expected record, and its event time where that counts.
pub(super) type Expected = (String, Option<Timestamp>);

/// Reads a table.
pub(super) fn rows(file: &Path, text: &str) -> Result<Vec<Row>, CasesError> {
    let numbered = text.lines().enumerate().map(|(number, text)| (number + 1, text.trim()));
    let mut lines = numbered.filter(|(_, text)| !text.is_empty() && !text.starts_with('#'));
    let malformed = |line: usize, what: String| CasesError::Malformed { file: file.to_owned(), line, what };
    let Some((line, head)) = lines.next() else {
        return Err(malformed(
            1,
            "the table is empty; it begins with a line that names its columns".to_owned(),
        ));
    };
    let heads = cells(head).map_err(|what| malformed(line, what))?;
    let columns: Result<Vec<Column>, String> = heads.iter().map(|head| column(head)).collect();
    let columns = columns.map_err(|what| malformed(line, what))?;
    if let Some(twice) = (1..columns.len()).find(|number| columns[..*number].contains(&columns[*number])) {
        return Err(malformed(line, format!("there are two columns `{}`", heads[twice])));
    }
    let mut rows = Vec::new();
    for (line, text) in lines {
        let cells = cells(text).map_err(|what| malformed(line, what))?;
        if cells.len() > columns.len() {
            let (cells, columns) = (cells.len(), columns.len());
            let what =
                format!("{cells} cells under {columns} columns; put a cell with a comma in \"quotes\"");
            return Err(malformed(line, what));
        }
        let rest = std::iter::repeat(String::new());
        let pairs = columns.iter().cloned().zip(cells.into_iter().chain(rest));
        let cells: Vec<_> =
            pairs.filter(|(column, cell)| matches!(column, Column::Expect(_)) || !cell.is_empty()).collect();
        if cells.iter().all(|(column, _)| matches!(column, Column::Expect(_))) {
            let what = "the row does nothing; give it a record, a watermark or a processing time";
            return Err(malformed(line, what.to_owned()));
        }
        rows.push(Row { line, cells });
    }
    Ok(rows)
}

/// A head: `record`, `watermark`, `processing time` or `expect`, with a name where there are several.
fn column(head: &str) -> Result<Column, String> {
    if head == "processing time" {
        return Ok(Column::ProcessingTime);
    }
    let (kind, name) = head.split_once(' ').unwrap_or((head, ""));
    let name = Some(name.trim().to_owned()).filter(|name| !name.is_empty());
    match kind {
        "record" => Ok(Column::Record(name)),
        "watermark" => Ok(Column::Watermark(name)),
        "expect" => Ok(Column::Expect(name)),
        _ => Err(format!(
            "`{head}` is not a column; columns are `record`, `watermark`, `processing time` and `expect`, and `record left` where there are \
             several inputs, `expect late` where there are several outputs"
        )),
    }
}

/// The cells of a line. One in quotes may hold commas, and quotes that are written twice.
fn cells(line: &str) -> Result<Vec<String>, String> {
    let mut cells = vec![String::new()];
    let mut quoted = false;
    let mut chars = line.chars().peekable();
    while let Some(next) = chars.next() {
        let cell = cells.last_mut().expect("there is always one");
        match next {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                cell.push('"');
            }
            '"' if quoted => quoted = false,
            '"' if cell.trim().is_empty() => quoted = true,
            ',' if !quoted => cells.push(String::new()),
            other => cell.push(other),
        }
    }
    if quoted {
        return Err("a quote is not closed; a cell ends with its line".to_owned());
    }
    Ok(cells.into_iter().map(|cell| cell.trim().to_owned()).collect())
}

/// A record cell: `10 @ 1000`.
pub(super) fn record(cell: &str) -> Result<(&str, Timestamp), String> {
    let Some((record, at)) = cell.rsplit_once('@') else {
        return Err(format!("`{cell}` is not a record with its event time, as `10 @ 1000` is"));
    };
    Ok((record.trim(), time(at)?))
}

/// A watermark cell: `4999`, `idle` or `end`.
pub(super) fn watermark(cell: &str) -> Result<Says, String> {
    match cell {
        "idle" => Ok(Says::Idle),
        "end" => Ok(Says::End),
        time if time.parse::<i64>().is_ok() => self::time(time).map(Says::Watermark),
        _ => Err(format!("`{cell}` is not a watermark; it is a number of ticks, `idle` or `end`")),
    }
}

/// A number of ticks.
pub(super) fn time(cell: &str) -> Result<Timestamp, String> {
    let ticks = cell
        .trim()
        .parse()
        .map_err(|error| format!("`{}` is not a number of ticks: {error}", cell.trim()))?;
    Ok(Timestamp(ticks))
}

/// An expect cell: `15 @ 4999; 22`.
pub(super) fn expected(cell: &str) -> Result<Vec<Expected>, String> {
    let mut expected = Vec::new();
    for part in split(cell) {
        expected.push(match part.rsplit_once('@') {
            Some((record, at)) => (record.trim().to_owned(), Some(time(at)?)),
            None => (part.trim().to_owned(), None),
        });
    }
    Ok(expected)
}

/// Splits at each `;` that is not within brackets.
fn split(cell: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0;
    let parts = cell.split(move |next: char| {
        match next {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            _ => {}
        }
        next == ';' && depth == 0
    });
    parts.filter(|part| !part.trim().is_empty())
}

/// A record as it is compared: without quotes, and without spaces that part no words.
pub(super) fn plain(shown: &str) -> String {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut plain = String::new();
    let mut space = false;
    for next in shown.chars().filter(|c| *c != '"') {
        if next.is_whitespace() {
            space = true;
            continue;
        }
        if std::mem::take(&mut space) && is_word(next) && plain.ends_with(is_word) {
            plain.push(' ');
        }
        plain.push(next);
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<Row>, String> {
        rows(Path::new("t.csv"), text).map_err(|error| error.to_string())
    }

    #[test]
    fn cells_may_be_quoted_and_rows_may_be_short() {
        let table =
            "# a comment\n\nrecord, watermark, expect\n\"(1, \"\"a\"\") @ 5\", 4\n 7 @ 8,, 9 @ 1; (1; 2)\n";
        let rows = read(table).unwrap();
        let cell = |column: Column, cell: &str| (column, cell.to_owned());
        assert_eq!(rows[0].line, 4);
        assert_eq!(
            rows[0].cells,
            [
                cell(Column::Record(None), "(1, \"a\") @ 5"),
                cell(Column::Watermark(None), "4"),
                cell(Column::Expect(None), "")
            ]
        );
        assert_eq!(rows[1].cells.len(), 2, "an empty cell says nothing");
        let two = [("9".to_owned(), Some(Timestamp(1))), ("(1; 2)".to_owned(), None)];
        assert_eq!(expected(&rows[1].cells[1].1).unwrap(), two);
    }

    #[test]
    fn columns_may_be_those_of_one_input_or_output() {
        let rows =
            read("record left,record right,watermark left,processing time,expect late\n1@2,,,3").unwrap();
        assert_eq!(rows[0].cells[0].0, Column::Record(Some("left".to_owned())));
        assert_eq!(rows[0].cells[1].0, Column::ProcessingTime);
        assert_eq!(rows[0].cells[2].0, Column::Expect(Some("late".to_owned())));
    }

    #[test]
    fn mistakes_are_named_with_file_and_line() {
        let wrong = |text: &str, words: &str| {
            let error = read(text).unwrap_err();
            assert!(error.starts_with("t.csv:") && error.contains(words), "{error}");
        };
        wrong("", "t.csv:1: the table is empty");
        wrong("record,time\n", "t.csv:1: `time` is not a column");
        wrong("record,record\n", "two columns `record`");
        wrong("record,expect\n1 @ 2,3,4\n", "t.csv:2: 3 cells under 2 columns");
        wrong("record,expect\n\"1 @ 2,3\n", "t.csv:2: a quote is not closed");
        wrong("# one\nrecord,expect\n,3\n", "t.csv:3: the row does nothing");
        assert!(record("10").unwrap_err().contains("as `10 @ 1000` is"));
        assert!(watermark("soon").unwrap_err().contains("`idle` or `end`"));
        assert_eq!(watermark("-5"), Ok(Says::Watermark(Timestamp(-5))));
    }

    #[test]
    fn spaces_count_between_words_only() {
        assert_eq!(plain("(\"to be\", 1)"), "(to be,1)");
        assert_eq!(plain(" ( to  be,1 )"), "(to be,1)");
    }
}
