//! Tables for people.

use anonymous_domains_client::printable;
use std::io::{self, Write};

/// Between two columns.
const GAP: &str = "  ";

/// Prints rows as aligned columns while they come: each column is as wide as its widest cell in
/// the rows that are there when the first is printed, and later rows that need more just take it.
pub struct Table<const N: usize> {
    header: [&'static str; N],
    waiting: Vec<[String; N]>,
    widths: Option<[usize; N]>,
}

/// How many rows are looked at for the columns' widths.
const LOOK_AHEAD: usize = 500;

impl<const N: usize> Table<N> {
    /// A table with this header, which is printed if any row is.
    pub fn new(header: [&'static str; N]) -> Self {
        Self {
            header,
            waiting: Vec::new(),
            widths: None,
        }
    }

    /// Adds a row. Control characters in it are escaped.
    ///
    /// # Errors
    ///
    /// What writing fails with.
    pub fn row(&mut self, out: &mut impl Write, cells: [String; N]) -> io::Result<()> {
        let cells = cells.map(|cell| printable(&cell));
        match self.widths {
            Some(widths) => line(out, &widths, &cells),
            None => {
                self.waiting.push(cells);
                if self.waiting.len() == LOOK_AHEAD {
                    self.flush(out)?;
                }
                Ok(())
            }
        }
    }

    /// Prints the rows that wait for others to be aligned with; to be called after the last.
    ///
    /// # Errors
    ///
    /// What writing fails with.
    pub fn flush(&mut self, out: &mut impl Write) -> io::Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let widths = std::array::from_fn(|column| {
            let cells = self.waiting.iter().map(|row| row[column].chars().count());
            cells.fold(self.header[column].len(), usize::max)
        });
        line(out, &widths, &self.header.map(str::to_owned))?;
        for row in std::mem::take(&mut self.waiting) {
            line(out, &widths, &row)?;
        }
        self.widths = Some(widths);
        Ok(())
    }
}

fn line<const N: usize>(
    out: &mut impl Write,
    widths: &[usize; N],
    cells: &[String; N],
) -> io::Result<()> {
    let mut text = String::new();
    for (cell, width) in cells.iter().zip(widths) {
        text.push_str(&format!("{cell:width$}{GAP}"));
    }
    writeln!(out, "{}", text.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn print(rows: &[[&str; 2]]) -> String {
        let mut out = Vec::new();
        let mut table = Table::new(["NAME", "VALUE"]);
        for row in rows {
            table.row(&mut out, row.map(str::to_owned)).unwrap();
        }
        table.flush(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn columns_are_aligned() {
        assert_eq!(print(&[]), "");
        assert_eq!(
            print(&[["a", "1"], ["longer", ""], ["é", "\x1b[2J\n"]]),
            "NAME    VALUE\na       1\nlonger\né       \\u{1b}[2J\\n\n"
        );
    }

    #[test]
    fn long_tables_do_not_wait_for_their_end() {
        let mut out = Vec::new();
        let mut table = Table::new(["NAME"]);
        for _ in 0..LOOK_AHEAD {
            assert!(out.is_empty());
            table.row(&mut out, ["a".to_owned()]).unwrap();
        }
        assert!(!out.is_empty());
        table.row(&mut out, ["a longer one".to_owned()]).unwrap();
        assert!(out.ends_with(b"\na longer one\n"));
    }
}
