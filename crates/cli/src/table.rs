//! Aligned columns for people.

use crate::style::Style;

/// A table that is printed in one or more parts; columns keep the widths they once had.
pub(crate) struct Table<const N: usize> {
    columns: [Column; N],
    widths: [usize; N],
    headed: bool,
}

/// The head of a column, and to which side its cells go.
#[derive(Clone, Copy)]
pub(crate) enum Column {
    /// Text.
    Left(&'static str),
    /// Numbers.
    Right(&'static str),
}

impl Column {
    fn head(self) -> &'static str {
        match self {
            Self::Left(head) | Self::Right(head) => head,
        }
    }
}

impl<const N: usize> Table<N> {
    pub(crate) fn new(columns: [Column; N]) -> Self {
        Self { columns, widths: columns.map(|column| column.head().len()), headed: false }
    }

    /// The next `rows` as lines, the first time below the heads.
    pub(crate) fn render(&mut self, rows: &[[String; N]], style: Style) -> String {
        for row in rows {
            for (width, cell) in self.widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let mut text = String::new();
        if !self.headed {
            let heads = self.line(&self.columns.map(|column| column.head().to_owned()));
            text.push_str(&style.head(&heads));
            text.push('\n');
            self.headed = true;
        }
        for row in rows {
            text.push_str(&self.line(row));
            text.push('\n');
        }
        text
    }

    fn line(&self, cells: &[String; N]) -> String {
        let mut line = String::new();
        for (index, cell) in cells.iter().enumerate() {
            if index > 0 {
                line.push_str("  ");
            }
            let width = self.widths[index];
            let padded = match self.columns[index] {
                Column::Left(_) => format!("{cell:<width$}"),
                Column::Right(_) => format!("{cell:>width$}"),
            };
            line.push_str(&padded);
        }
        line.truncate(line.trim_end_matches(' ').len());
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_aligned_and_widths_kept() {
        let style = Style::plain();
        let mut table = Table::new([Column::Left("NAME"), Column::Right("N"), Column::Left("REST")]);
        let row = |name: &str, n: &str, rest: &str| [name.to_owned(), n.to_owned(), rest.to_owned()];
        let first = table.render(&[row("a", "1", "x"), row("äöüßé", "1,000", "")], style);
        assert_eq!(first, "NAME       N  REST\na          1  x\näöüßé  1,000\n");
        assert_eq!(table.render(&[row("b", "2", "y")], style), "b          2  y\n");
    }
}
