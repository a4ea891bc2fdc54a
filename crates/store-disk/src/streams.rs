//! Where the events of one stream are: its head, what of it is retained, and the place of a version.

use std::sync::Arc;

use mainspring_event::Position;

use crate::{
    core::{Core, View},
    damage::Damage,
    format::{frame::Kind, record::Place},
    index::List,
    records::Records,
    rules::Limits,
    segment::{Segment, SegmentError},
    view::head_in,
};

/// The events of a stream in one segment, as far as they are durable.
struct Part<'a> {
    segment: &'a Segment,
    code: u32,
    len: usize,
}

impl Core {
    /// The version of a stream as far as `durable`; 0 if it has no event.
    pub(crate) fn visible_head(&self, view: &View, stream: &str, durable: Position) -> Result<u64, SegmentError> {
        for segment in view.holding(stream).rev() {
            if let Some(part) = Part::of(segment, stream, durable)?
                && let Some(head) = part.head()?
            {
                return Ok(head);
            }
        }
        Ok(0)
    }

    /// The oldest version of a stream that is retained, and the version the stream stands at.
    pub(crate) fn first_retained(
        &self,
        view: &View,
        stream: &str,
        limits: &Limits,
        durable: Position,
    ) -> Result<(u64, u64), SegmentError> {
        let head = self.visible_head(view, stream, durable)?;
        for segment in view.holding(stream) {
            // Where the newest version would not be retained even if it was recorded last, nothing is.
            let recorded = segment.summary().map_or(i64::MAX, |summary| summary.recorded);
            if head_in(segment, stream)?.is_none_or(|newest| !limits.retains(newest, recorded, head)) {
                continue;
            }
            let Some(part) = Part::of(segment, stream, durable)? else { continue };
            // What is retained is an end of the stream: versions and moments rise together.
            let (mut low, mut high) = (0, part.len);
            while low < high {
                let middle = low + (high - low) / 2;
                let place = part.place(middle)?;
                if limits.retains(place.version, place.recorded, head) {
                    high = middle;
                } else {
                    low = middle + 1;
                }
            }
            if low < part.len {
                return Ok((part.place(low)?.version, head));
            }
        }
        Ok((head + 1, head))
    }

    /// The position of the first event of a stream at `version` or above, going forwards; backwards, of the last one at
    /// `version` or below. `None` where there is none.
    pub(crate) fn position_of_version(
        &self,
        view: &View,
        stream: &str,
        version: u64,
        durable: Position,
        backwards: bool,
    ) -> Result<Option<u64>, SegmentError> {
        let mut holding: Vec<_> = view.holding(stream).collect();
        let reaches = first_reaching(&mut holding, stream, version)?;
        for segment in &holding[reaches..] {
            let Some(part) = Part::of(segment, stream, durable)? else { continue };
            let at = part.first_from(version)?;
            if at < part.len {
                let place = part.place(at)?;
                if !backwards || place.version == version {
                    return Ok(Some(place.position));
                }
            }
            if backwards && at > 0 {
                return Ok(Some(part.place(at - 1)?.position));
            }
            if at < part.len {
                break;
            }
        }
        if backwards {
            for segment in holding[..reaches].iter().rev() {
                if let Some(part) = Part::of(segment, stream, durable)?
                    && let Some(last) = part.len.checked_sub(1)
                {
                    return Ok(Some(part.place(last)?.position));
                }
            }
        }
        Ok(None)
    }
}

/// Which of these segments is the first in which the stream reaches `version`. Those found to lack the stream are left out.
fn first_reaching(holding: &mut Vec<&Arc<Segment>>, stream: &str, version: u64) -> Result<usize, Damage> {
    let (mut low, mut high) = (0, holding.len());
    while low < high {
        let middle = low + (high - low) / 2;
        match head_in(holding[middle], stream)? {
            None => {
                holding.remove(middle);
                high -= 1;
            }
            Some(head) if head < version => low = middle + 1,
            Some(_) => high = middle,
        }
    }
    Ok(low)
}

impl<'a> Part<'a> {
    /// `None` where the segment lacks the stream.
    fn of(segment: &'a Segment, stream: &str, durable: Position) -> Result<Option<Self>, Damage> {
        segment.with_index(|index| {
            let code = index.find(Kind::Stream, stream)?;
            let len = index.postings(List::Stream(code)).below(index.ordinal_after(durable.0));
            Some(Self { segment, code, len })
        })
    }

    fn ordinals(&self, range: std::ops::Range<usize>) -> Result<Vec<u32>, Damage> {
        self.segment.with_index(|index| {
            let postings = index.postings(List::Stream(self.code));
            range.clone().filter(|at| *at < postings.len()).map(|at| postings.get(at)).collect()
        })
    }

    fn place(&self, at: usize) -> Result<Place, SegmentError> {
        let places = Records::places(self.segment, &self.ordinals(at..at + 1)?)?;
        places.first().copied().ok_or_else(|| self.segment.damage(0, "its index lists fewer events than it has").into())
    }

    /// The version that the stream stands at; `None` if it has no event here and never had.
    fn head(&self) -> Result<Option<u64>, SegmentError> {
        // Of a sealed segment scavenging may have removed every event of the stream; where it stood is kept.
        let had = self.len > 0 || self.segment.is_sealed();
        let head = self.segment.with_index(|index| {
            (had && self.len == index.postings(List::Stream(self.code)).len()).then(|| index.head(self.code))
        })?;
        match head {
            Some(head) => Ok(Some(head)),
            None => self.len.checked_sub(1).map(|last| Ok(self.place(last)?.version)).transpose(),
        }
    }

    /// How many events are below a version.
    fn first_from(&self, version: u64) -> Result<usize, SegmentError> {
        let (mut low, mut high) = (0, self.len);
        while low < high {
            let middle = low + (high - low) / 2;
            let below = self.place(middle)?.version < version;
            (low, high) = if below { (middle + 1, high) } else { (low, middle) };
        }
        Ok(low)
    }
}
