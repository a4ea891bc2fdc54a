//! Looking at dead letters, which takes nothing.

use mainspring_broker::{Admin, DeadLetter, Group, Pending, Place};
use serde::Serialize;

use super::{find, read};
use crate::{
    broker::{
        explained,
        line::{MessageLine, shown_body, shown_key, shown_place},
    },
    message,
    output::Output,
    printable,
    table::{Column, Table},
};

/// A dead letter on a line of its own. What is not known, as of a message that is none, is left out.
#[derive(Serialize)]
struct Line<'a> {
    place: Option<String>,
    in_flight: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    letter: Option<LetterLine<'a>>,
    message: MessageLine<'a>,
}

#[derive(Serialize)]
struct LetterLine<'a> {
    group: &'a str,
    reason: &'a str,
    attempts: u32,
    origin: Option<String>,
    stored: Option<String>,
    first_attempt: Option<String>,
    died: String,
}

pub(super) async fn list(admin: &dyn Admin, group: &Group, limit: usize, output: &mut Output) -> anyhow::Result<()> {
    let pending = admin.browse(group, limit.saturating_add(1)).await.map_err(explained)?;
    let shown = &pending[..pending.len().min(limit)];
    if output.is_json() {
        for pending in shown {
            json(pending, output)?;
        }
    } else if !shown.is_empty() {
        let columns = [
            Column::Left("PLACE"),
            Column::Left("DIED"),
            Column::Left("GROUP"),
            Column::Left("FROM"),
            Column::Right("ATTEMPTS"),
            Column::Left("KEY"),
            Column::Left("REASON"),
        ];
        let rows: Vec<_> = shown.iter().map(row).collect();
        output.bytes(Table::new(columns).render(&rows, output.style()).as_bytes())?;
    }
    if pending.is_empty() {
        message::note(&format!("group `{group}` has no dead letters"));
    } else if shown.len() < pending.len() {
        message::note(&format!("there are more; `--limit` shows more than {limit}"));
    }
    Ok(())
}

pub(super) async fn show(admin: &dyn Admin, group: &Group, place: &Place, output: &mut Output) -> anyhow::Result<()> {
    let pending = find(admin, group, place).await?;
    if output.is_json() {
        return json(&pending, output);
    }
    let letter = read(&pending)?;
    let mut facts = vec![
        ("Place", shown_place(pending.place.as_ref())),
        ("Given up by", letter.group.to_string()),
        ("Reason", printable::escaped(&letter.reason)),
        ("Attempts", letter.attempts.to_string()),
        ("From", letter.place.as_ref().map_or_else(|| letter.message.destination.to_string(), ToString::to_string)),
    ];
    facts.extend(letter.stored.map(|time| ("Sent", time.to_string())));
    facts.extend(letter.first_attempt.map(|time| ("First tried", time.to_string())));
    facts.push(("Given up", letter.died.to_string()));
    facts.extend(letter.message.key.as_ref().map(|_| ("Key", shown_key(&letter.message))));
    if !letter.message.routing_key.is_empty() {
        facts.push(("Routing key", printable::escaped(&letter.message.routing_key)));
    }
    for (name, value) in letter.message.headers.iter() {
        facts.push(("Header", format!("{}={}", printable::escaped(name), printable::payload("", value))));
    }
    if let Some(envelope) = &letter.message.envelope {
        facts.push(("Event", format!("{} {} of {}", envelope.id, envelope.event_type, envelope.stream)));
    }
    facts.push(("Body", shown_body(&letter.message)));
    if pending.in_flight {
        facts.push(("In flight", "a member has it".to_owned()));
    }
    for (name, value) in facts {
        output.line(&format!("{name:<11}  {value}"))?;
    }
    Ok(())
}

fn json(pending: &Pending, output: &mut Output) -> anyhow::Result<()> {
    let letter = DeadLetter::read(&pending.message);
    let message = letter.as_ref().map_or(&pending.message, |letter| &letter.message);
    let said = letter.as_ref().map(|letter| LetterLine {
        group: letter.group.as_str(),
        reason: &letter.reason,
        attempts: letter.attempts,
        origin: letter.place.as_ref().map(ToString::to_string),
        stored: letter.stored.map(|time| time.to_string()),
        first_attempt: letter.first_attempt.map(|time| time.to_string()),
        died: letter.died.to_string(),
    });
    let place = pending.place.as_ref().map(ToString::to_string);
    let line = Line { place, in_flight: pending.in_flight, letter: said, message: MessageLine::of(message) };
    Ok(output.json(&line)?)
}

fn row(pending: &Pending) -> [String; 7] {
    let place = shown_place(pending.place.as_ref());
    let key = shown_key(&pending.message);
    let Some(letter) = DeadLetter::read(&pending.message) else {
        let [died, group, from, attempts] = ["-"; 4].map(str::to_owned);
        return [place, died, group, from, attempts, key, "it is no dead letter".to_owned()];
    };
    let (group, from) = (letter.group.to_string(), letter.message.destination.to_string());
    [place, letter.died.to_string(), group, from, letter.attempts.to_string(), key, printable::escaped(&letter.reason)]
}
