//! A process that consumes and is killed.

use std::{
    io::{BufRead, BufReader},
    process::{Child, ChildStdout, Command, Stdio},
};

use anyhow::{Context, Result, ensure};

/// A process that says on its standard output, a line each, what it has got.
pub struct Victim {
    child: Child,
    said: BufReader<ChildStdout>,
}

impl Victim {
    /// Starts it.
    ///
    /// # Errors
    /// When that is not possible.
    pub fn start(program: &str, arguments: &[&str]) -> Result<Self> {
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {program}"))?;
        let said = child.stdout.take().context("its output is piped")?;
        Ok(Self { child, said: BufReader::new(said) })
    }

    /// The next line it says.
    ///
    /// # Errors
    /// When it has ended.
    pub fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        let length = self.said.read_line(&mut line).context("cannot read what it says")?;
        ensure!(length > 0, "it ended by itself: {:?}", self.child.wait());
        Ok(line.trim().to_owned())
    }

    /// Kills it, with nothing that it could do about that.
    ///
    /// # Errors
    /// When that is not possible.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill().context("cannot kill it")?;
        self.child.wait().context("cannot learn how it ended")?;
        Ok(())
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        // A test that failed must not leave it behind; one that was killed is killed again in vain.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
