//! A request for the brokers of a cluster, in Kafka's protocol (`Metadata`, version 1).

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use anyhow::{Context, Result, ensure};

/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// More than the answer about a cluster of one node has.
const MAX_ANSWER: u32 = 1 << 20;

/// The number of our only request.
const CORRELATION: u32 = 7;

/// Succeeds when a broker is ready to serve.
pub(super) fn ask(address: SocketAddr) -> Result<()> {
    let mut stream =
        TcpStream::connect_timeout(&address, PATIENCE).with_context(|| format!("cannot reach {address}"))?;
    stream.set_read_timeout(Some(PATIENCE)).context("cannot set a limit for answers")?;
    stream.write_all(&request()).context("cannot ask")?;
    let mut size = [0; 4];
    stream.read_exact(&mut size).context("no answer")?;
    let size = u32::from_be_bytes(size);
    ensure!((4..MAX_ANSWER).contains(&size), "the answer is not one of Kafka");
    let mut answer = vec![0; usize::try_from(size).context("an answer of more than the memory has")?];
    stream.read_exact(&mut answer).context("the answer is cut off")?;
    let brokers = brokers(&answer).context("the answer is not one of Kafka")?;
    ensure!(brokers > 0, "no broker is ready yet");
    Ok(())
}

/// The whole request, about no topic.
fn request() -> Vec<u8> {
    let mut body = [3_u16.to_be_bytes(), 1_u16.to_be_bytes()].concat();
    body.extend(CORRELATION.to_be_bytes());
    let client = b"xtask";
    body.extend(u16::try_from(client.len()).expect("five bytes").to_be_bytes());
    body.extend(client);
    body.extend(0_u32.to_be_bytes());
    let mut request = u32::try_from(body.len()).expect("some twenty bytes").to_be_bytes().to_vec();
    request.extend(body);
    request
}

/// How many brokers an answer to our request names.
fn brokers(answer: &[u8]) -> Option<u32> {
    let (correlation, rest) = answer.split_first_chunk()?;
    let (count, _) = rest.split_first_chunk()?;
    (u32::from_be_bytes(*correlation) == CORRELATION).then(|| u32::from_be_bytes(*count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_says_its_own_length() {
        let request = request();
        assert_eq!(request[..4], u32::try_from(request.len() - 4).unwrap().to_be_bytes());
        assert_eq!(request[4..8], [0, 3, 0, 1]);
    }

    #[test]
    fn only_an_answer_to_our_request_counts() {
        assert_eq!(brokers(&[0, 0, 0, 7, 0, 0, 0, 1]), Some(1));
        assert_eq!(brokers(&[0, 0, 0, 8, 0, 0, 0, 1]), None);
        assert_eq!(brokers(&[0, 0, 0, 7]), None);
    }
}
