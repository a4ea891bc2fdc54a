//! The first words of a connection, whose form never changes: both sides say which version of the protocol they speak,
//! and the server whether it takes the connection.

use std::io;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
};

use crate::protocol::VERSION;

/// Begins what both sides say, so that a stranger is known as one.
const MAGIC: [u8; 8] = *b"MSBROKER";

/// The server takes the connection.
const TAKEN: u8 = 0;
/// It speaks another version.
const OTHER_VERSION: u8 = 1;
/// It has as many connections as it takes.
const FULL: u8 = 2;

/// What a client learns.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Welcome {
    /// The connection is taken.
    Taken {
        /// Whether the broker can answer operators.
        has_admin: bool,
    },
    OtherVersion {
        theirs: u32,
    },
    Full,
    /// Whoever listens there is no broker.
    Stranger,
}

/// The side of the client.
pub(crate) async fn greet(stream: &mut UnixStream) -> io::Result<Welcome> {
    let mut hello = [0; 12];
    hello[..8].copy_from_slice(&MAGIC);
    hello[8..].copy_from_slice(&VERSION.to_le_bytes());
    stream.write_all(&hello).await?;
    let mut answer = [0; 14];
    stream.read_exact(&mut answer).await?;
    if answer[..8] != MAGIC {
        return Ok(Welcome::Stranger);
    }
    let theirs = u32::from_le_bytes(answer[8..12].try_into().expect("four bytes are taken"));
    Ok(match answer[12] {
        _ if theirs != VERSION => Welcome::OtherVersion { theirs },
        TAKEN => Welcome::Taken { has_admin: answer[13] == 1 },
        FULL => Welcome::Full,
        _ => Welcome::Stranger,
    })
}

/// The side of the server; says whether the connection goes on.
pub(crate) async fn welcome(stream: &mut UnixStream, has_admin: bool, is_full: bool) -> io::Result<bool> {
    let mut hello = [0; 12];
    stream.read_exact(&mut hello).await?;
    if hello[..8] != MAGIC {
        return Ok(false);
    }
    let same = hello[8..] == VERSION.to_le_bytes();
    let verdict = match (same, is_full) {
        (false, _) => OTHER_VERSION,
        (true, true) => FULL,
        (true, false) => TAKEN,
    };
    let mut answer = [0; 14];
    answer[..8].copy_from_slice(&MAGIC);
    answer[8..12].copy_from_slice(&VERSION.to_le_bytes());
    answer[12..].copy_from_slice(&[verdict, has_admin.into()]);
    stream.write_all(&answer).await?;
    Ok(verdict == TAKEN)
}
