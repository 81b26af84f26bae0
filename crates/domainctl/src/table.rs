//! Tables for people.

use std::io::{self, Write};

use anonymous_domains_client::printable;

/// Between two columns.
const GAP: &str = "  ";

/// Prints rows as aligned columns while they arrive. The first rows are collected, and each column
/// is as wide as its widest cell in them; a later row that needs more is out of line.
pub struct Table<const N: usize> {
    header: [&'static str; N],
    waiting: Vec<[String; N]>,
    widths: Option<[usize; N]>,
}

/// How many rows are collected for the widths of the columns.
const LOOK_AHEAD: usize = 500;

impl<const N: usize> Table<N> {
    /// A table with this header, which is only printed if there are rows.
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
    /// The error of the write.
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

    /// Prints the collected rows; must be called after the last one.
    ///
    /// # Errors
    ///
    /// The error of the write.
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
    fn long_tables_are_printed_before_their_end() {
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
