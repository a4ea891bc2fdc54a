//! The first words of AMQP 0-9-1: a whole log-in and the version that the server says of itself.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};

/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// More than any answer here has.
const MAX_FRAME: u32 = 1 << 20;

const CONNECTION: u16 = 10;
const START: u16 = 10;
const START_OK: u16 = 11;
const TUNE: u16 = 30;
const TUNE_OK: u16 = 31;
const OPEN: u16 = 40;
const OPEN_OK: u16 = 41;
const CLOSE: u16 = 50;
const CLOSE_OK: u16 = 51;
const FRAME_END: u8 = 0xce;

/// Logs in as `guest` at the default virtual host; answers the version.
pub(in crate::engines) fn ask(address: SocketAddr) -> Result<String> {
    let mut stream =
        TcpStream::connect_timeout(&address, PATIENCE).with_context(|| format!("cannot reach {address}"))?;
    stream.set_read_timeout(Some(PATIENCE)).context("cannot set a limit for answers")?;
    stream.write_all(b"AMQP\x00\x00\x09\x01").context("cannot greet")?;
    let start = receive(&mut stream, START)?;
    let version = version(&start).context("the server does not say its version")?;

    let mut log_in = 0_u32.to_be_bytes().to_vec();
    short(&mut log_in, "PLAIN");
    long(&mut log_in, b"\0guest\0guest");
    short(&mut log_in, "en_US");
    send(&mut stream, START_OK, &log_in)?;
    let mut limits = receive(&mut stream, TUNE)?;
    ensure!(limits.len() == 8, "the server's limits are {} bytes, not 8", limits.len());
    // We do not stay long enough for heartbeats.
    limits[6..].fill(0);
    send(&mut stream, TUNE_OK, &limits)?;
    let mut host = Vec::new();
    short(&mut host, "/");
    short(&mut host, "");
    host.push(0);
    send(&mut stream, OPEN, &host)?;
    receive(&mut stream, OPEN_OK)?;
    let mut end = 200_u16.to_be_bytes().to_vec();
    short(&mut end, "");
    end.extend([0; 4]);
    send(&mut stream, CLOSE, &end)?;
    receive(&mut stream, CLOSE_OK)?;
    Ok(version)
}

/// The arguments of the next method, which has to be this one.
fn receive(stream: &mut impl Read, expected: u16) -> Result<Vec<u8>> {
    let mut head = [0; 7];
    stream.read_exact(&mut head).context("no answer")?;
    let size = u32::from_be_bytes([head[3], head[4], head[5], head[6]]);
    ensure!(head[0] == 1 && (4..MAX_FRAME).contains(&size), "the answer is not a method of AMQP 0-9-1");
    let mut frame = vec![0; usize::try_from(size).context("a frame of more than the memory has")? + 1];
    stream.read_exact(&mut frame).context("the answer is cut off")?;
    ensure!(frame.pop() == Some(FRAME_END), "the answer is not a frame of AMQP 0-9-1");
    let method = (u16::from_be_bytes([frame[0], frame[1]]), u16::from_be_bytes([frame[2], frame[3]]));
    if method != (CONNECTION, expected) {
        bail!("the answer is method {method:?}, not {:?}", (CONNECTION, expected));
    }
    Ok(frame.split_off(4))
}

fn send(stream: &mut impl Write, method: u16, arguments: &[u8]) -> Result<()> {
    let mut payload = [CONNECTION.to_be_bytes(), method.to_be_bytes()].concat();
    payload.extend(arguments);
    let mut frame = vec![1, 0, 0];
    long(&mut frame, &payload);
    frame.push(FRAME_END);
    stream.write_all(&frame).context("the connection ended")
}

fn short(out: &mut Vec<u8>, text: &str) {
    out.push(u8::try_from(text.len()).expect("every text here is a short literal"));
    out.extend(text.as_bytes());
}

fn long(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend(u32::try_from(bytes.len()).expect("nothing here is longer than a log-in").to_be_bytes());
    out.extend(bytes);
}

/// The text `version` in the properties of the server.
fn version(start: &[u8]) -> Option<String> {
    // Before them is the version of the protocol, two bytes.
    let (mut properties, _) = take_long(start.get(2..)?)?;
    while let Some((&length, rest)) = properties.split_first() {
        let (name, rest) = rest.split_at_checked(length.into())?;
        let (&kind, rest) = rest.split_first()?;
        let (value, rest) = match kind {
            b'S' | b'F' | b'A' | b'x' => take_long(rest)?,
            b't' | b'b' | b'B' => rest.split_at_checked(1)?,
            b's' | b'u' => rest.split_at_checked(2)?,
            b'I' | b'i' | b'f' => rest.split_at_checked(4)?,
            b'l' | b'd' | b'T' => rest.split_at_checked(8)?,
            b'V' => rest.split_at(0),
            _ => return None,
        };
        if name == b"version" && kind == b'S' {
            return String::from_utf8(value.to_vec()).ok();
        }
        properties = rest;
    }
    None
}

fn take_long(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (size, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(*size)).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(properties: &[(&str, u8, &[u8])]) -> Vec<u8> {
        let mut table = Vec::new();
        for (name, kind, value) in properties {
            short(&mut table, name);
            table.push(*kind);
            table.extend(*value);
        }
        let mut start = vec![0, 9];
        long(&mut start, &table);
        start
    }

    #[test]
    fn the_version_is_found_among_other_properties() {
        let text = b"\x00\x00\x00\x063.10.8";
        let said = start(&[("capabilities", b'F', &[0, 0, 0, 1, 7]), ("flag", b't', &[1]), ("version", b'S', text)]);
        assert_eq!(version(&said).as_deref(), Some("3.10.8"));
        assert_eq!(version(&start(&[("product", b'S', text)])), None);
        for cut in 0..said.len() {
            assert_eq!(version(&said[..cut]), None, "cut after {cut} bytes");
        }
    }

    #[test]
    fn what_is_no_method_is_refused() {
        let mut frame = Vec::new();
        send(&mut frame, START, b"arguments").unwrap();
        assert_eq!(receive(&mut frame.as_slice(), START).unwrap(), b"arguments");
        let other = receive(&mut frame.as_slice(), TUNE).unwrap_err().to_string();
        assert_eq!(other, "the answer is method (10, 10), not (10, 30)");
        let http = receive(&mut b"HTTP/1.1 400 Bad Request".as_slice(), START).unwrap_err().to_string();
        assert_eq!(http, "the answer is not a method of AMQP 0-9-1");
        receive(&mut [].as_slice(), START).unwrap_err();
    }
}
