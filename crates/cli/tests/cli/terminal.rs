//! On a terminal there is colour, unless nobody wants it; in a pipe there is none.

use std::{
    fs::File,
    io::{ErrorKind, Read as _},
    os::unix::ffi::OsStrExt as _,
};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::kit::{Place, wait};

/// Runs the program with standard output and standard error on a terminal; answers what is shown.
fn shown(place: &Place, args: &str, environment: &[(&str, &str)]) -> String {
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&terminal).unwrap();
    unlockpt(&terminal).unwrap();
    let name = ptsname(&terminal, Vec::new()).unwrap();
    let user = File::options().read(true).write(true).open(std::ffi::OsStr::from_bytes(name.as_bytes())).unwrap();
    let mut command = place.command(args);
    command.stdout(user.try_clone().unwrap()).stderr(user);
    let mut child = command.envs(environment.iter().copied()).spawn().unwrap();
    // The ends that the child inherits must be its alone, or the terminal never closes.
    drop(command);
    let (mut shown, mut buffer) = (Vec::new(), [0; 4096]);
    let mut terminal = File::from(terminal);
    loop {
        match terminal.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => shown.extend_from_slice(&buffer[..read]),
            // This is how a terminal says on Linux that nobody is left at its other end.
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error()) => break,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => panic!("{error}"),
        }
    }
    wait(&mut child);
    String::from_utf8(shown).unwrap()
}

#[test]
fn a_terminal_gets_colour_unless_nobody_wants_it() {
    let place = Place::with_orders();
    let head = "STREAM   VERSION  EVENTS  LAST POSITION";
    assert!(shown(&place, "streams", &[]).starts_with(&format!("\x1b[1m{head}\x1b[0m\r\n")));
    assert!(shown(&place, "streams", &[("NO_COLOR", "1")]).starts_with(&format!("{head}\r\n")));
    assert!(shown(&place, "streams", &[("TERM", "dumb")]).starts_with(&format!("{head}\r\n")));
    let error = "there is no event store in nowhere";
    assert!(shown(&place, "streams --data nowhere", &[]).starts_with(&format!("\x1b[1;31merror:\x1b[0m {error}")));
    assert!(!shown(&place, "streams --data nowhere", &[("NO_COLOR", "1")]).contains('\x1b'));
    assert!(!shown(&place, "--help", &[("NO_COLOR", "1")]).contains('\x1b'));
}

#[test]
fn a_pipe_gets_no_colour() {
    let place = Place::with_orders();
    for args in ["streams", "stats", "verify", "events", "events --data nowhere", "--help", "nonsense"] {
        let ran = place.run(args, "");
        assert!(!(ran.out + &ran.err).contains('\x1b'), "{args}");
    }
}
