//! What readers of an image see while it is written.

use super::*;

#[test]
fn what_is_frozen_is_seen_and_stays() {
    let mut writer = ImageWriter::new(10).unwrap();
    assert_eq!(writer.capacity(), PAGE);
    assert_eq!(writer.image().start.as_ptr().align_offset(PAGE), 0);
    writer.write(0..5).copy_from_slice(b"first");
    let nothing = writer.image().frozen();
    writer.freeze(5);
    let first = writer.image().frozen();
    writer.write(5..11).copy_from_slice(b"second");
    assert_eq!(writer.read(0..11), b"firstsecond");
    writer.freeze(11);
    assert_eq!((&*nothing, &*first, &*writer.image().frozen()), (&b""[..], &b"first"[..], &b"firstsecond"[..]));
}

#[test]
#[should_panic(expected = "neither frozen nor lent")]
fn what_is_frozen_cannot_be_written() {
    let mut writer = ImageWriter::new(10).unwrap();
    writer.freeze(5);
    writer.write(4..6);
}

#[test]
fn an_image_is_reused_only_when_nobody_reads_it() {
    let mut writer = ImageWriter::new(10).unwrap();
    writer.freeze(5);
    let image = writer.image().clone();
    drop(writer);
    let reader = image.frozen();
    let image = ImageWriter::reuse(image, 10).err().expect("somebody reads it");
    drop(reader);
    let image = ImageWriter::reuse(image, PAGE + 1).err().expect("it is too small");
    assert_eq!(ImageWriter::reuse(image, 10).ok().expect("it is free").image().len(), 0);
}
