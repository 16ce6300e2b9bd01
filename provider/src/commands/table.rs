//! A table of texts, each column as wide as its widest cell.

use std::io::{self, Write};

/// Writes rows of the same length, of which the first is the header, indented.
pub(super) fn write<const COLUMNS: usize>(
    out: &mut (dyn Write + Send),
    indent: &str,
    rows: &[[String; COLUMNS]],
) -> io::Result<()> {
    let width = |column: usize| {
        rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default()
    };
    let widths: [usize; COLUMNS] = std::array::from_fn(width);
    for row in rows {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        writeln!(out, "{indent}{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}
