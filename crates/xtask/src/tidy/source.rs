//! A text file, taken apart: a rule about code must not trip over a comment or a text that only mentions the code.

/// A text file of the workspace.
pub(super) struct SourceFile {
    /// Seen from the root of the workspace, with forward slashes.
    pub(super) path: String,
    /// The whole text.
    pub(super) text: String,
    /// The code alone: comments and literals are blank, and lines stay lines. Empty unless it is Rust.
    pub(super) code: String,
    /// The comments alone, in the same way; the whole text when it is not Rust.
    pub(super) comments: String,
}

impl SourceFile {
    /// Takes a file apart.
    pub(super) fn new(path: String, text: String) -> Self {
        let (code, comments) = if path.ends_with(".rs") { split(&text) } else { (String::new(), text.clone()) };
        Self { path, text, code, comments }
    }

    /// Whether it is Rust.
    pub(super) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Whether the whole file is about tests, benchmarks or examples, and not a part of the product.
    pub(super) fn is_test(&self) -> bool {
        let in_tests = self.path.split('/').any(|part| matches!(part, "tests" | "benches" | "examples"));
        in_tests || self.path.ends_with("/tests.rs")
    }

    /// For each line of code, whether it belongs to a test.
    pub(super) fn test_lines(&self) -> Vec<bool> {
        let mut marks = vec![self.is_test(); self.code.lines().count()];
        for (start, _) in self.code.match_indices("#[cfg(test)]") {
            let end = start + item_length(&self.code[start..]);
            let line = |at: usize| self.code[..at].matches('\n').count();
            marks[line(start)..=line(end)].fill(true);
        }
        marks
    }
}

/// How far the item at the start of `code` reaches: to the end of its block, or to a `;` before any block.
fn item_length(code: &str) -> usize {
    let mut depth = 0_usize;
    for (at, c) in code.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth <= 1 => return at,
            '}' => depth -= 1,
            ';' if depth == 0 => return at,
            _ => {}
        }
    }
    // The code ends within the item; only a file that does not compile does that.
    code.len()
}

/// What a character of Rust belongs to.
#[derive(Clone, Copy)]
enum Part {
    Code,
    LineComment,
    BlockComment { depth: u32 },
    Text,
    RawText { hashes: usize },
    Character,
}

impl Part {
    fn is_comment(self) -> bool {
        matches!(self, Self::LineComment | Self::BlockComment { .. })
    }
}

/// Parts Rust into code and comments.
fn split(text: &str) -> (String, String) {
    let chars: Vec<char> = text.chars().collect();
    let (mut code, mut comments) = (String::with_capacity(text.len()), String::with_capacity(text.len()));
    let (mut part, mut at) = (Part::Code, 0);
    while at < chars.len() {
        let (now, length) = step(part, &chars, at);
        // What opens or closes a comment or a literal belongs to it.
        let is_code = matches!((part, now), (Part::Code, Part::Code));
        let is_comment = part.is_comment() || now.is_comment();
        for &c in &chars[at..at + length] {
            let blank = if c == '\n' { '\n' } else { ' ' };
            code.push(if is_code { c } else { blank });
            comments.push(if is_comment { c } else { blank });
        }
        (part, at) = (now, at + length);
    }
    (code, comments)
}

/// Where the characters at `at` lead, and how many of them belong together.
fn step(part: Part, chars: &[char], at: usize) -> (Part, usize) {
    let next = chars.get(at + 1).copied();
    match (part, chars[at]) {
        (Part::Code, '/') if next == Some('/') => (Part::LineComment, 2),
        (Part::Code, '/') if next == Some('*') => (Part::BlockComment { depth: 1 }, 2),
        (Part::Code, '"') => (Part::Text, 1),
        (Part::Code, 'r') => match raw_text(chars, at) {
            Some(hashes) => (Part::RawText { hashes }, hashes + 2),
            None => (Part::Code, 1),
        },
        // A quote begins a character when it closes again at once; otherwise it begins a lifetime.
        (Part::Code, '\'') if next == Some('\\') || chars.get(at + 2) == Some(&'\'') => (Part::Character, 1),
        (Part::LineComment, '\n') => (Part::Code, 1),
        (Part::BlockComment { depth }, '/') if next == Some('*') => (Part::BlockComment { depth: depth + 1 }, 2),
        (Part::BlockComment { depth }, '*') if next == Some('/') => match depth {
            1 => (Part::Code, 2),
            _ => (Part::BlockComment { depth: depth - 1 }, 2),
        },
        (Part::Text | Part::Character, '\\') if next.is_some() => (part, 2),
        (Part::Text, '"') | (Part::Character, '\'') => (Part::Code, 1),
        (Part::RawText { hashes }, '"') if chars[at + 1..].iter().take_while(|&&c| c == '#').count() >= hashes => {
            (Part::Code, hashes + 1)
        }
        _ => (part, 1),
    }
}

/// The number of `#` of the raw text that begins with the `r` at `at`, if one does.
fn raw_text(chars: &[char], at: usize) -> Option<usize> {
    let is_name = |c: &char| c.is_alphanumeric() || *c == '_';
    let before = chars[..at].iter().rev().take_while(|c| is_name(c)).collect::<Vec<_>>();
    let prefixed = matches!(before.as_slice(), [] | ['b' | 'c']);
    let hashes = chars[at + 1..].iter().take_while(|&&c| c == '#').count();
    (prefixed && chars.get(at + 1 + hashes) == Some(&'"')).then_some(hashes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, code: &str, comments: &str) {
        let file = SourceFile::new("a.rs".to_owned(), text.to_owned());
        assert_eq!((file.code.as_str(), file.comments.as_str()), (code, comments));
    }

    #[test]
    fn comments_are_parted_from_code() {
        check("a // b\nc", "a     \nc", "  // b\n ");
        check("a /* b /* c */ d */ e", "a                   e", "  /* b /* c */ d */  ");
    }

    #[test]
    fn a_literal_is_neither() {
        check(r#"f("// \" x") g"#, "f(         ) g", &" ".repeat(14));
        check("r#\"a\"b\"# c", "         c", &" ".repeat(10));
        check("br\"\\\" for\"x\"", "b     for   ", &" ".repeat(12));
        check(r"'\'' 'a' &'b str", "         &'b str", &" ".repeat(16));
    }

    #[track_caller]
    fn check_tests(path: &str, text: &str, expected: &[bool]) {
        assert_eq!(SourceFile::new(path.to_owned(), text.to_owned()).test_lines(), expected);
    }

    #[test]
    fn test_lines_are_those_of_test_modules_and_test_files() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n  fn b() {}\n}\nfn c() {}";
        check_tests("src/a.rs", text, &[false, true, true, true, true, false]);
        check_tests("src/a.rs", "#[cfg(test)]\nmod tests;\nfn a() {}", &[true, true, false]);
        check_tests("src/a/tests.rs", "fn a() {}", &[true]);
        check_tests("tests/a.rs", "fn a() {}", &[true]);
    }
}
