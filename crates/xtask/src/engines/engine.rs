//! The engines there are, and what each of them is asked to do.

use std::{fmt, net::SocketAddr, path::Path, str::FromStr};

use anyhow::{Result, ensure};

use super::{Launch, kafka, rabbitmq, record::Place};

/// A broker to test with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    /// RabbitMQ as this system packages it.
    Rabbitmq,
    /// RabbitMQ 4, from the next release of Debian where this one has an older one.
    Rabbitmq4,
    /// Apache Kafka 4.
    Kafka,
}

impl Engine {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::Rabbitmq, Self::Rabbitmq4, Self::Kafka];

    /// What it is called at the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Rabbitmq => "rabbitmq",
            Self::Rabbitmq4 => "rabbitmq4",
            Self::Kafka => "kafka",
        }
    }

    /// Finds or provisions it, writes its configuration and says how to start it.
    pub(super) fn prepare(self, place: &Place) -> Result<Launch> {
        match self {
            Self::Rabbitmq => rabbitmq::prepare(place),
            Self::Rabbitmq4 => rabbitmq::prepare_4(place),
            Self::Kafka => kafka::prepare(place),
        }
    }

    /// Makes a real request of its protocol; answers the version that runs.
    pub(super) fn ask(self, address: SocketAddr, log: &Path) -> Result<String> {
        match self {
            Self::Rabbitmq | Self::Rabbitmq4 => rabbitmq::ask(address),
            Self::Kafka => kafka::ask(address, log),
        }
    }

    /// Refuses a version that is not what was asked for.
    pub(super) fn check(self, version: &str) -> Result<()> {
        let least = match self {
            Self::Rabbitmq => 3,
            Self::Rabbitmq4 | Self::Kafka => 4,
        };
        ensure!(major(version) >= Some(least), "{version} runs there, but `{self}` is version {least} or newer");
        Ok(())
    }
}

/// The number before the first dot.
pub(super) fn major(version: &str) -> Option<u32> {
    version.split('.').next()?.parse().ok()
}

impl FromStr for Engine {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let known = Self::ALL.map(Self::name).join(", ");
        let found = Self::ALL.into_iter().find(|engine| engine.name() == name);
        found.ok_or_else(|| format!("there is no engine `{name}`; there are {known}"))
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_engines_are_one_to_one() {
        for engine in Engine::ALL {
            assert_eq!(engine.name().parse(), Ok(engine));
        }
        assert_eq!(
            "Kafka".parse::<Engine>().unwrap_err(),
            "there is no engine `Kafka`; there are rabbitmq, rabbitmq4, kafka"
        );
    }

    #[test]
    fn a_version_that_was_not_asked_for_is_refused() {
        Engine::Rabbitmq.check("3.10.8").unwrap();
        Engine::Rabbitmq4.check("4.0.5").unwrap();
        Engine::Kafka.check("10.0").unwrap();
        let error = Engine::Rabbitmq4.check("3.10.8").unwrap_err().to_string();
        assert_eq!(error, "3.10.8 runs there, but `rabbitmq4` is version 4 or newer");
        Engine::Kafka.check("unknown").unwrap_err();
    }
}
