//! The report as people read it: aligned, with units, and with what matters most where the eye falls first.

use std::fmt::{self, Display, Formatter};

use super::{Report, Size};
use crate::{
    Cents,
    demo::{CommandEffort, Compared, Difference, Effort, GivenUp, LagEffort, Messages, Processors, ProjectionEffort},
};

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.headline(f)?;
        self.refused(f)?;
        self.figures(f)?;
        self.verdict(f)?;
        self.messages(f)?;
        self.measures(f)?;
        self.times(f)?;
        self.effort(f)
    }
}

impl Report {
    fn headline(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (data, input, commands) = (self.data.display(), &self.input, count(self.commands));
        match (self.already_complete, self.resumed) {
            (true, _) => writeln!(f, "{input}: already complete in {data}, nothing was left to do"),
            (_, true) => writeln!(f, "{input}: resumed in {data}, {commands} commands were left to do"),
            _ => writeln!(f, "{input}: {commands} commands carried out in {data}"),
        }
    }

    fn refused(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.refused.is_empty() {
            return Ok(());
        }
        let lines = self.refused.len() as u64;
        writeln!(f, "\n{} of the input refused, all others taken:", plural(lines, "line"))?;
        for refused in &self.refused {
            writeln!(f, "  line {}: {} (`{}`)", refused.line, refused.reason, refused.text)?;
        }
        Ok(())
    }

    fn figures(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let row = |f: &mut Formatter<'_>, what: &str, compared: Compared, show: fn(i64) -> String| {
            let Compared { input, replay, read_models } = compared;
            let mark = if input == replay && replay == read_models { "" } else { "  DIFFERENT" };
            writeln!(f, "{what:<12}{:>16}{:>16}{:>16}{mark}", show(input), show(replay), show(read_models))
        };
        writeln!(f, "\n{:<12}{:>16}{:>16}{:>16}", "", "input", "replay", "read models")?;
        row(f, "orders", self.totals.orders, whole)?;
        row(f, "customers", self.totals.customers, whole)?;
        row(f, "CDs", self.totals.units, whole)?;
        row(f, "revenue", self.totals.revenue_cents, dollars)?;
        row(f, "days", self.totals.days, whole)
    }

    fn verdict(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.reconciled {
            return writeln!(f, "\nReconciled: all totals, days, customers, orders and messages are equal.");
        }
        let Messages { differences_found, differences, .. } = &self.messages;
        let found = self.differences_found + differences_found;
        writeln!(f, "\nNOT RECONCILED: {} different.", plural_are(found, "figure"))?;
        let cell = |value: &Option<String>| value.clone().unwrap_or_else(|| "missing".to_owned());
        for Difference { what, input, replay, read_models } in &self.differences {
            let (input, replay, read_models) = (cell(input), cell(replay), cell(read_models));
            writeln!(f, "  {what}: {input} in the input, {replay} in the replay, {read_models} in the read models")?;
        }
        differences.iter().try_for_each(|difference| writeln!(f, "  {difference}"))?;
        let more = found - (self.differences.len() + differences.len()) as u64;
        if more > 0 {
            writeln!(f, "  and {} more", count(more))?;
        }
        Ok(())
    }

    fn messages(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Messages { published, kept, mails, days, orders, cents, dead_letters, .. } = &self.messages;
        let by_type = published.iter().map(|(event_type, messages)| format!("{} {event_type}", count(*messages)));
        let published = count(published.values().sum());
        writeln!(f, "\nmessages     {published}: {}", by_type.collect::<Vec<_>>().join(", "))?;
        writeln!(f, "  audit         {:>9} kept", count(*kept))?;
        write!(f, "  analytics     {:>9} orders and {} dollars", count(*orders), dollars(cents.0))?;
        writeln!(f, " counted on {}", plural(*days, "day"))?;
        let letters = plural(dead_letters.len() as u64, "dead letter");
        writeln!(f, "  notification  {:>9} mails sent, {letters}", count(*mails))?;
        for GivenUp { kept_by, place, order, reason, attempts, .. } in dead_letters {
            let order =
                order.map_or_else(|| "an order that cannot be read".to_owned(), |order| format!("order {order}"));
            writeln!(f, "  {place}: {order}, after {}: {reason}", plural(u64::from(*attempts), "attempt"))?;
            writeln!(f, "    again: mainspring dead-letters resubmit {kept_by} {place}, then the demo once more")?;
        }
        Ok(())
    }

    fn measures(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Size { store_bytes, views_bytes, log_bytes_per_event } = self.size;
        let (events, appended) = (count(self.events), count(self.events_appended));
        writeln!(f, "\nevents       {events} in the store, {appended} of them appended by this run")?;
        if let Some(latency) = self.latency {
            let rate = count(self.events_per_s.round() as u64);
            writeln!(f, "rate         {rate} events per second, each durable before it is answered")?;
            write!(f, "latency      p50 {:.2} ms, p99 {:.2} ms", latency.p50_ms, latency.p99_ms)?;
            writeln!(f, ", longest {:.2} ms, {} commands at once", latency.max_ms, self.in_flight)?;
        }
        let (store, views) = (mebibytes(store_bytes), mebibytes(views_bytes));
        writeln!(f, "on disk      store {store} ({log_bytes_per_event:.0} bytes an event), read models {views}")
    }

    fn times(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "time         {:.2} s", self.elapsed_s)?;
        for time in &self.phases {
            let share = 100.0 * time.seconds / self.elapsed_s;
            writeln!(f, "  {:<28}{:>7.2} s  {share:>3.0} %", time.phase.as_str(), time.seconds)?;
        }
        Ok(())
    }
}

/// Where the time went, as far as the phases do not say it.
impl Report {
    fn effort(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Effort { command, processors, projections } = &self.effort;
        if let Some(CommandEffort { deciding_ms, appending_ms }) = command {
            writeln!(
                f,
                "a command    {deciding_ms:.2} ms to read and decide, {appending_ms:.2} ms until it is durable"
            )?;
        }
        if let Some(Processors { count, total_s, runtime_s, sqlite_s, main_s, other_s }) = processors {
            write!(f, "processors   {total_s:.2} s of {count}: commands, store and decoding {runtime_s:.2} s")?;
            writeln!(f, ", SQLite {sqlite_s:.2} s, main {main_s:.2} s, other {other_s:.2} s")?;
        }
        writeln!(f, "\n{PROJECTIONS}")?;
        for projection in projections {
            let ProjectionEffort { name, events, transactions, busy_s, decoding_s, applying_s, committing_s, lag } =
                projection;
            let (events, transactions) = (count(*events), count(*transactions));
            write!(f, "  {name:<20}{events:>9}{transactions:>14}{busy_s:>7.2} s")?;
            write!(f, "{decoding_s:>8.2}{applying_s:>7.2}{committing_s:>8.2}")?;
            match lag {
                Some(LagEffort { p50_ms, p99_ms, max_ms }) => {
                    writeln!(f, "{p50_ms:>8.1}{p99_ms:>7.1}{max_ms:>9.1} ms")?
                }
                None => writeln!(f)?,
            }
        }
        Ok(())
    }
}

/// The heads of the columns of projections.
const PROJECTIONS: &str = "\
projection               events  transactions     busy  decode  apply  commit lag p50    p99  longest";

fn whole(figure: i64) -> String {
    let sign = if figure < 0 { "-" } else { "" };
    format!("{sign}{}", count(figure.unsigned_abs()))
}

fn dollars(cents: i64) -> String {
    let text = Cents(cents).to_string();
    let (dollars, cents) = text.split_once('.').unwrap_or((&text, "00"));
    format!("{}.{cents}", dollars.parse().map_or_else(|_| dollars.to_owned(), whole))
}

/// With a comma at each third digit.
fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn plural(number: u64, what: &str) -> String {
    format!("{} {what}{}", count(number), if number == 1 { "" } else { "s" })
}

fn plural_are(number: u64, what: &str) -> String {
    format!("{} {}", plural(number, what), if number == 1 { "is" } else { "are" })
}

fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_readable() {
        assert_eq!([0, 999, 1_000, 69_659, 2_500_315].map(count), ["0", "999", "1,000", "69,659", "2,500,315"]);
        assert_eq!(dollars(250_031_563), "2,500,315.63");
        assert_eq!(dollars(-123_405), "-1,234.05");
        assert_eq!((plural_are(1, "figure"), plural_are(2, "figure")), ("1 figure is".into(), "2 figures are".into()));
        assert_eq!(mebibytes(3 << 19), "1.5 MiB");
    }
}
