//! Input line by line, with a limit on how long a line may be, and in groups of lines that are there already.

use std::io::{self, BufRead as _, BufReader, Read};

/// The largest event has 4 MiB, a third more in base64, and at most six times as much when its text is escaped.
const LONGEST: usize = 32 << 20;

/// A group is handed on when it has so many lines …
const GROUP_LINES: usize = 512;

/// … or so many bytes.
const GROUP_BYTES: usize = 1 << 20;

/// As much as a pipe holds, so that one look at it takes everything.
const BUFFER: usize = 1 << 16;

/// Lines of some input, counted from 1. Those without any content are passed over.
pub(crate) struct Lines<R> {
    reader: BufReader<R>,
    read: u64,
    longest: usize,
}

/// One line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// Which line of the input it is, counted from 1.
    pub(crate) number: u64,
    /// What it says, without the line break.
    pub(crate) text: Result<Vec<u8>, TooLong>,
}

/// The line is longer than any event can be.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the line is longer than {limit} bytes, which no event can be")]
pub(crate) struct TooLong {
    limit: usize,
}

impl<R: Read> Lines<R> {
    pub(crate) fn new(reader: R) -> Self {
        Self { reader: BufReader::with_capacity(BUFFER, reader), read: 0, longest: LONGEST }
    }

    /// The next line and those after it that can be had without waiting; empty at the end.
    pub(crate) fn group(&mut self) -> io::Result<Vec<Line>> {
        let mut group = Vec::new();
        let mut bytes = 0;
        while group.len() < GROUP_LINES && bytes < GROUP_BYTES {
            if !group.is_empty() && !self.reader.buffer().contains(&b'\n') {
                break;
            }
            let Some(text) = self.line()? else { break };
            bytes += text.as_ref().map_or(0, Vec::len);
            if text.as_ref().is_ok_and(|text| text.trim_ascii().is_empty()) {
                continue;
            }
            group.push(Line { number: self.read, text });
        }
        Ok(group)
    }

    /// The next line, whatever it holds.
    fn line(&mut self) -> io::Result<Option<Result<Vec<u8>, TooLong>>> {
        let mut text = Vec::new();
        let limit = self.longest as u64 + 1;
        self.reader.by_ref().take(limit).read_until(b'\n', &mut text)?;
        if text.is_empty() {
            return Ok(None);
        }
        self.read += 1;
        if text.last() == Some(&b'\n') {
            text.pop();
        } else if text.len() > self.longest {
            self.reader.skip_until(b'\n')?;
            return Ok(Some(Err(TooLong { limit: self.longest })));
        }
        Ok(Some(Ok(text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives one of `chunks` at a time, as a pipe does.
    struct Pipe(Vec<&'static str>);

    impl Read for Pipe {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            if self.0.is_empty() {
                return Ok(0);
            }
            let chunk = self.0.remove(0).as_bytes();
            into[..chunk.len()].copy_from_slice(chunk);
            Ok(chunk.len())
        }
    }

    #[track_caller]
    fn check(chunks: &[&'static str], expected: &[&[(u64, &str)]]) {
        let mut lines = Lines { longest: 8, ..Lines::new(Pipe(chunks.to_vec())) };
        let mut groups = Vec::new();
        loop {
            let group = lines.group().unwrap();
            if group.is_empty() {
                break;
            }
            let line = |line: Line| (line.number, line.text.map_or("?".to_owned(), |t| String::from_utf8(t).unwrap()));
            groups.push(group.into_iter().map(line).collect::<Vec<_>>());
        }
        let expected: Vec<Vec<_>> =
            expected.iter().map(|group| group.iter().map(|(n, t)| (*n, (*t).to_owned())).collect()).collect();
        assert_eq!(groups, expected);
    }

    #[test]
    fn lines_that_are_there_form_a_group() {
        check(&["a\nb\nc", "\nd\n"], &[&[(1, "a"), (2, "b")], &[(3, "c"), (4, "d")]]);
    }

    #[test]
    fn the_last_line_needs_no_break() {
        check(&["a\n", "b"], &[&[(1, "a")], &[(2, "b")]]);
        check(&[], &[]);
    }

    #[test]
    fn blank_lines_count_and_are_passed_over() {
        check(&["\n \na\n\n", "\nb"], &[&[(3, "a")], &[(6, "b")]]);
    }

    #[test]
    fn a_line_may_have_exactly_the_limit() {
        check(&["12345678\n123456789\nab\n"], &[&[(1, "12345678"), (2, "?"), (3, "ab")]]);
        check(&["123456789", "123456789"], &[&[(1, "?")]]);
    }
}
