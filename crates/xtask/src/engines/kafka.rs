//! Apache Kafka 4: what is installed, or its archives from Maven Central. One node that is broker and controller.

mod metadata;

use std::{
    env, fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

use super::{Launch, engine::major, machine, port, record::Place};
use crate::cargo;

/// A cluster of one node needs an id, and nobody else ever meets it.
const CLUSTER: &str = "bWFpbnNwcmluZ2VuZ2luZQ";

/// Says what it logs at its start, its version among it, and warnings.
const LOGGING: &str = "rootLogger.level=warn\nrootLogger.appenderRef.0.ref=out\nappender.0.name=out\nappender.0.type=Console\n\
                       appender.0.layout.type=PatternLayout\nappender.0.layout.pattern=%d %p %c %m%n\n\
                       logger.0.name=org.apache.kafka.common.utils.AppInfoParser\nlogger.0.level=info\n";

/// Finds or fetches it, formats its directory once and says how to start it.
pub(super) fn prepare(place: &Place) -> Result<Launch> {
    if machine::find("java").is_none() {
        machine::install(&["default-jre-headless"])?;
    }
    let jars = match installed() {
        Some(jars) => jars,
        None => fetched(place)?,
    };
    let [port, controller] = port::free()?;
    let logs = place.make("data")?;
    let config = place.write("server.properties", &properties(&logs, port, controller))?;
    place.write("log4j2.properties", LOGGING)?;
    if !logs.join("meta.properties").exists() {
        let format = java(place, &jars)
            .args(["kafka.tools.StorageTool", "format", "-t", CLUSTER, "-c"])
            .arg(&config)
            .output()
            .context("cannot start java")?;
        ensure!(
            format.status.success(),
            "cannot format {}: {}",
            logs.display(),
            String::from_utf8_lossy(&format.stderr)
        );
    }
    let mut server = java(place, &jars);
    server.arg("kafka.Kafka").arg(&config);
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    Ok(Launch { programs: vec![("server", server)], address })
}

/// Asks for the brokers of the cluster; answers the version that the server wrote to its log when it started.
pub(super) fn ask(address: SocketAddr, log: &Path) -> Result<String> {
    metadata::ask(address)?;
    let text = fs::read_to_string(log).with_context(|| format!("cannot read {}", log.display()))?;
    version_said(&text).with_context(|| format!("{} does not say a version", log.display()))
}

/// The archives of an installed Kafka 4.
fn installed() -> Option<PathBuf> {
    let home = env::var_os("KAFKA_HOME").map(PathBuf::from);
    let script = machine::find("kafka-server-start.sh").and_then(|script| fs::canonicalize(script).ok());
    let homes = home.into_iter().chain(script.and_then(|script| Some(script.parent()?.parent()?.to_owned())));
    homes.map(|home| home.join("libs")).find(|libs| version_in(libs).as_deref().and_then(major) >= Some(4))
}

/// The archives from Maven Central.
fn fetched(place: &Place) -> Result<PathBuf> {
    let libs = place.path("libs");
    if version_in(&libs).is_none() {
        if machine::find("mvn").is_none() {
            machine::install(&["maven"])?;
        }
        println!("Maven fetches Apache Kafka");
        let draft = place.path("libs.new");
        let pom = cargo::metadata()?.workspace_root.join("peers/kafka-server/pom.xml");
        let output = format!("-DoutputDirectory={}", draft.display());
        machine::run(
            Command::new("mvn")
                .args(["-q", "-B", "-Dstyle.color=never", "-f"])
                .arg(pom)
                .args(["dependency:copy-dependencies", &output]),
        )?;
        fs::rename(&draft, &libs).with_context(|| format!("cannot rename {}", draft.display()))?;
    }
    Ok(libs)
}

/// The version in the name of the server's archive.
fn version_in(libs: &Path) -> Option<String> {
    let mut names = fs::read_dir(libs).ok()?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.find_map(|name| Some(name.strip_prefix("kafka_2.13-")?.strip_suffix(".jar")?.to_owned()))
}

/// The version in a line of `AppInfoParser`.
fn version_said(log: &str) -> Option<String> {
    log.lines().find_map(|line| Some(line.split_once("Kafka version: ")?.1.split_whitespace().next()?.to_owned()))
}

fn java(place: &Place, jars: &Path) -> Command {
    let mut command = Command::new("java");
    command.arg("-Xmx512m").arg("-cp").arg(jars.join("*")).current_dir(place.dir());
    command.arg(format!("-Dlog4j2.configurationFile={}", place.path("log4j2.properties").display()));
    command
}

fn properties(logs: &Path, port: u16, controller: u16) -> String {
    format!(
        "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.voters=1@127.0.0.1:{controller}\n\
         listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}\n\
         advertised.listeners=PLAINTEXT://127.0.0.1:{port}\ncontroller.listener.names=CONTROLLER\n\
         log.dirs={}\n\
         # There is one node, and tests wait for it.\n\
         offsets.topic.replication.factor=1\noffsets.topic.num.partitions=4\n\
         transaction.state.log.replication.factor=1\ntransaction.state.log.min.isr=1\n\
         transaction.state.log.num.partitions=4\n\
         share.coordinator.state.topic.replication.factor=1\nshare.coordinator.state.topic.min.isr=1\n\
         group.initial.rebalance.delay.ms=0\ngroup.min.session.timeout.ms=1000\n\
         # A topic that nobody created is a mistake of the test.\n\
         auto.create.topics.enable=false\n",
        logs.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_from_a_name_and_from_a_log() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(version_in(root.path()), None);
        fs::write(root.path().join("kafka-clients-4.1.0.jar"), "").unwrap();
        fs::write(root.path().join("kafka_2.13-4.1.0.jar"), "").unwrap();
        assert_eq!(version_in(root.path()).as_deref(), Some("4.1.0"));
        let log = "2026-01-01 INFO x Kafka version: 4.1.0\n2026-01-01 INFO x Kafka commitId: 13f7\n";
        assert_eq!(version_said(log).as_deref(), Some("4.1.0"));
        assert_eq!(version_said("starting\n"), None);
    }

    #[test]
    fn the_configuration_names_what_was_chosen() {
        let text = properties(Path::new("target/engines/kafka/data"), 1111, 2222);
        for line in [
            "listeners=PLAINTEXT://127.0.0.1:1111,CONTROLLER://127.0.0.1:2222",
            "controller.quorum.voters=1@127.0.0.1:2222",
            "log.dirs=target/engines/kafka/data",
        ] {
            assert!(text.lines().any(|one| one == line), "{line} is missing in\n{text}");
        }
    }
}
