//! One end of a connection: frames that come in, and frames that wait to go out.
//!
//! What goes out is tried at once, without a task in between; only what the other side does not take now waits for
//! [`Outbox::flush`]. So whoever has pushed a frame may often say at once that it is out of the hands of this process.

use std::{
    collections::VecDeque,
    io,
    sync::{Mutex, MutexGuard, PoisonError},
};

use bytes::{Bytes, BytesMut};
use rustix::net::Shutdown;
use tokio::{
    io::AsyncReadExt,
    net::unix::{OwnedReadHalf, OwnedWriteHalf},
    sync::Notify,
};

use crate::protocol::MAX_FRAME;

/// As much may wait to go out before whoever has more waits himself.
const HIGH: usize = 1 << 20;

/// Memory is taken in such steps while a frame comes in, so that its announcement alone costs nothing.
const STEP: usize = 64 << 10;

/// Frames that come in.
pub(crate) struct Frames {
    half: OwnedReadHalf,
    buffer: BytesMut,
}

impl Frames {
    pub(crate) fn new(half: OwnedReadHalf) -> Self {
        Self { half, buffer: BytesMut::new() }
    }

    /// The length of the next frame, or nothing when the other side has ended. Cancel-safe.
    pub(crate) async fn head(&mut self) -> io::Result<Option<usize>> {
        if !self.fill(4).await? {
            return if self.buffer.is_empty() { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
        }
        let header: [u8; 4] = self.buffer[..4].try_into().expect("four bytes were read");
        let length = u32::from_le_bytes(header) as usize;
        if length > MAX_FRAME {
            let told = format!("a frame of {length} bytes was announced, the limit is {MAX_FRAME}");
            return Err(io::Error::new(io::ErrorKind::InvalidData, told));
        }
        Ok(Some(length))
    }

    /// The frame whose length was just told. Cancel-safe.
    pub(crate) async fn body(&mut self, length: usize) -> io::Result<Bytes> {
        if !self.fill(4 + length).await? {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut frame = self.buffer.split_to(4 + length);
        Ok(frame.split_off(4).freeze())
    }

    /// Reads until so much is there, unless the other side ends before.
    async fn fill(&mut self, count: usize) -> io::Result<bool> {
        while self.buffer.len() < count {
            self.buffer.reserve((count - self.buffer.len()).clamp(1, STEP));
            if self.half.read_buf(&mut self.buffer).await? == 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Frames that go out, in the order in which they were pushed.
pub(crate) struct Outbox {
    half: OwnedWriteHalf,
    waiting: Mutex<Waiting>,
    /// Tells `flush` that something waits.
    pushed: Notify,
    /// Tells everybody else that something went out, or that nothing will any more.
    moved: Notify,
}

#[derive(Default)]
struct Waiting {
    frames: VecDeque<Bytes>,
    bytes: usize,
    /// Of all that was ever pushed.
    pushed: u64,
    written: u64,
    closed: bool,
}

/// The connection has ended.
#[derive(Debug)]
pub(crate) struct Ended;

impl Outbox {
    pub(crate) fn new(half: OwnedWriteHalf) -> Self {
        Self { half, waiting: Mutex::default(), pushed: Notify::new(), moved: Notify::new() }
    }

    /// Puts a frame behind all others, without waiting. Says where its end lies, for [`is_out`](Self::is_out).
    pub(crate) fn push(&self, frame: Vec<u8>) -> Result<u64, Ended> {
        let mut waiting = self.lock();
        if waiting.closed {
            return Err(Ended);
        }
        waiting.pushed += frame.len() as u64;
        let end = waiting.pushed;
        let alone = waiting.frames.is_empty();
        waiting.bytes += frame.len();
        waiting.frames.push_back(frame.into());
        // An error comes again, and then it ends the connection.
        if alone && self.write(&mut waiting).is_err() || !waiting.frames.is_empty() {
            self.pushed.notify_one();
        }
        Ok(end)
    }

    /// Waits until there is room for another frame. Cancel-safe.
    pub(crate) async fn room(&self) -> Result<(), Ended> {
        self.until(|waiting| waiting.bytes < HIGH).await
    }

    /// Waits until everything before `end` is in the hands of the system. Cancel-safe.
    pub(crate) async fn flushed(&self, end: u64) -> Result<(), Ended> {
        self.until(|waiting| waiting.written >= end).await
    }

    /// Whether everything before `end` is in the hands of the system; otherwise the other side never gets it whole
    /// once the connection has ended.
    pub(crate) fn is_out(&self, end: u64) -> bool {
        self.lock().written >= end
    }

    /// Nothing goes out any more, and the other side is told so. What is in the hands of the system still arrives.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        // An error says that the connection had ended.
        let _ = rustix::net::shutdown(self.half.as_ref(), Shutdown::Write);
        self.moved.notify_waiters();
    }

    /// Writes what waits, for as long as the connection lasts; returns with what ended it.
    pub(crate) async fn flush(&self) -> io::Error {
        loop {
            self.pushed.notified().await;
            while !self.lock().frames.is_empty() {
                if let Err(error) = self.half.writable().await {
                    return error;
                }
                let mut waiting = self.lock();
                if let Err(error) = self.write(&mut waiting) {
                    return error;
                }
            }
        }
    }

    /// Writes as much as the other side takes now.
    fn write(&self, waiting: &mut Waiting) -> io::Result<()> {
        let before = waiting.written;
        let ended = loop {
            let Some(first) = waiting.frames.front_mut() else { break Ok(()) };
            match self.half.try_write(first) {
                Ok(count) => {
                    let _ = first.split_to(count);
                    if first.is_empty() {
                        waiting.frames.pop_front();
                    }
                    waiting.bytes -= count;
                    waiting.written += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
        };
        if waiting.written > before {
            self.moved.notify_waiters();
        }
        ended
    }

    async fn until(&self, is: impl Fn(&Waiting) -> bool) -> Result<(), Ended> {
        loop {
            // Made before looking, so that what happens in between is not missed.
            let moved = self.moved.notified();
            {
                let waiting = self.lock();
                if is(&waiting) {
                    return Ok(());
                }
                if waiting.closed {
                    return Err(Ended);
                }
            }
            moved.await;
        }
    }

    /// Nothing panics while it is held.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
