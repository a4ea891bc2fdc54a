//! What is said beside the data, on standard error.

use std::{
    fmt::Display,
    io::{self, Write as _},
};

use crate::style::Style;

/// Why the program, or a part of what it was asked to do, failed; with all causes on one line.
pub(crate) fn error(error: &anyhow::Error) {
    say(&Style::of(&io::stderr()).bad("error:"), &format_args!("{error:#}"));
}

/// Something that deserves a look, although the work goes on.
pub(crate) fn warning(text: &str) {
    say(&Style::of(&io::stderr()).doubtful("warning:"), &text);
}

/// Something good to know.
pub(crate) fn note(text: &str) {
    say("note:", &text);
}

fn say(what: &str, text: &dyn Display) {
    // Where standard error is closed there is nobody left to tell.
    let _ = writeln!(io::stderr().lock(), "{what} {text}");
}
