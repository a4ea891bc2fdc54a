//! Where the socket lies. Its address takes a path of about a hundred bytes only (`sun_path` has 108 on Linux, 104 on
//! macOS), and directories of applications are often deeper. Where a path is longer, Linux can go through an open
//! directory: `/proc/self/fd/<number>/<file>` is short whatever the directory is called. Elsewhere that is an error.

use std::{
    io,
    os::unix::net::{UnixListener as StdListener, UnixStream as StdStream},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{Mode, OFlags},
    net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType},
};
use tokio::net::{UnixListener, UnixStream};

/// Longer paths take the way through the open directory.
const MAX_PATH: usize = 100;

/// How many connections may wait to be taken.
const BACKLOG: i32 = 128;

/// An address, with the directory that stays open as long as it is needed.
struct Address {
    path: PathBuf,
    _directory: Option<rustix::fd::OwnedFd>,
}

impl Address {
    fn of(path: &Path) -> io::Result<Self> {
        if path.as_os_str().len() <= MAX_PATH {
            return Ok(Self { path: path.to_owned(), _directory: None });
        }
        let name = path.file_name().filter(|name| name.len() <= MAX_PATH - 32);
        let (Some(name), true) = (name, cfg!(target_os = "linux")) else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, too_long(path)));
        };
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::RDONLY;
        let directory = rustix::fs::open(parent, flags, Mode::empty())?;
        let number = std::os::fd::AsRawFd::as_raw_fd(&directory);
        let path = Path::new("/proc/self/fd").join(number.to_string()).join(name);
        Ok(Self { path, _directory: Some(directory) })
    }
}

fn too_long(path: &Path) -> String {
    let length = path.as_os_str().len();
    format!("the path of a socket has at most {MAX_PATH} bytes here, this one has {length}: use a shorter one")
}

/// Listens at `path`, where nothing may be. Nobody but the owner can connect, not even before this returns.
pub(crate) fn listen(path: &Path) -> io::Result<UnixListener> {
    let address = Address::of(path)?;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    rustix::net::bind(&socket, &SocketAddrUnix::new(&address.path)?)?;
    rustix::fs::chmod(path, Mode::RUSR | Mode::WUSR)?;
    rustix::net::listen(&socket, BACKLOG)?;
    let listener = StdListener::from(socket);
    listener.set_nonblocking(true)?;
    UnixListener::from_std(listener)
}

/// Connects to whoever listens at `path`.
pub(crate) async fn connect(path: &Path) -> io::Result<UnixStream> {
    UnixStream::connect(&Address::of(path)?.path).await
}

/// Whether somebody listens at `path`. Answers at once.
pub(crate) fn is_living(path: &Path) -> bool {
    Address::of(path).and_then(|address| StdStream::connect(&address.path)).is_ok()
}
