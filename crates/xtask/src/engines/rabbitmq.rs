//! RabbitMQ: the package of this system, or RabbitMQ 4 of the next release of Debian.

mod handshake;
mod next_release;

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use super::{Launch, engine::major, machine, port, record::Place};
pub(super) use handshake::ask;
use next_release::Jail;

/// Where Debian keeps it. The program on the `PATH` is a wrapper there that wants a certain user.
const DEBIAN: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";

/// Any version: what is installed, or the system's package.
pub(super) fn prepare(place: &Place) -> Result<Launch> {
    if installed().is_none() {
        machine::install(&["rabbitmq-server"])?;
    }
    let Some(script) = installed() else { bail!("apt-get has installed rabbitmq-server, but it is not there") };
    configure(place, &script, None)
}

/// Version 4: what is installed if it is that, or the package of a later Debian in a directory.
pub(super) fn prepare_4(place: &Place) -> Result<Launch> {
    match installed() {
        Some(script) if version_of(&script).as_deref().and_then(major) >= Some(4) => configure(place, &script, None),
        _ => {
            let jail = Jail::provide(place).context("not possible here")?;
            configure(place, Path::new(DEBIAN), Some(&jail))
        }
    }
}

/// The script that starts the server.
fn installed() -> Option<PathBuf> {
    let debian = PathBuf::from(DEBIAN);
    if debian.is_file() { Some(debian) } else { machine::find("rabbitmq-server") }
}

/// The version in the name of the directory that really holds the script, as in `rabbitmq_server-4.0.5/sbin`.
fn version_of(script: &Path) -> Option<String> {
    let script = fs::canonicalize(script).ok()?;
    let mut parts = script.iter().filter_map(|part| part.to_str()?.strip_prefix("rabbitmq_server-"));
    parts.next().map(str::to_owned)
}

/// Writes the configuration and says how to start it: the port mapper of Erlang first, because whoever starts a node
/// without one starts a daemon that nobody would stop.
fn configure(place: &Place, script: &Path, jail: Option<&Jail>) -> Result<Launch> {
    let [port, distribution, mapper] = port::free()?;
    for dir in ["data", "log", "home"] {
        place.make(dir)?;
    }
    place.write("enabled_plugins", "[].\n")?;
    place.write("rabbitmq-env.conf", "")?;
    place.write("rabbitmq.conf", &format!("listeners.tcp.1 = 127.0.0.1:{port}\nlog.file.level = warning\n"))?;

    let inside = jail.map_or_else(|| place.dir().to_owned(), |_| PathBuf::from(next_release::INSIDE));
    let program = |program: &Path| {
        let mut command = jail.map_or_else(|| Command::new(program), |jail| jail.command(program));
        command
            .current_dir(place.dir())
            .env("HOME", inside.join("home"))
            .env("ERL_EPMD_PORT", mapper.to_string())
            .env("ERL_EPMD_ADDRESS", Ipv4Addr::LOCALHOST.to_string());
        command
    };
    let mut server = program(script);
    server
        // The script then becomes the server, and has no shell between us and it.
        .env("RUNNING_UNDER_SYSTEMD", "true")
        .env_remove("NOTIFY_SOCKET")
        .env("RABBITMQ_NODENAME", format!("{}@localhost", place.engine()))
        .env("RABBITMQ_DIST_PORT", distribution.to_string())
        .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "-kernel inet_dist_use_interface {127,0,0,1}");
    for (variable, name) in [
        ("RABBITMQ_CONFIG_FILE", "rabbitmq.conf"),
        ("RABBITMQ_CONF_ENV_FILE", "rabbitmq-env.conf"),
        ("RABBITMQ_ENABLED_PLUGINS_FILE", "enabled_plugins"),
        ("RABBITMQ_MNESIA_BASE", "data"),
        ("RABBITMQ_LOG_BASE", "log"),
        ("RABBITMQ_PID_FILE", "server.pid"),
    ] {
        server.env(variable, inside.join(name));
    }
    let epmd = match jail {
        Some(_) => PathBuf::from("/usr/bin/epmd"),
        None => machine::find("epmd").context("there is no epmd on the PATH, which comes with Erlang; put it there")?,
    };
    let programs = vec![("epmd", program(&epmd)), ("server", server)];
    Ok(Launch { programs, address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_that_of_the_directory_behind_the_link() {
        let root = tempfile::tempdir().unwrap();
        let real = root.path().join("rabbitmq_server-4.0.5/sbin");
        fs::create_dir_all(&real).unwrap();
        fs::write(real.join("rabbitmq-server"), "").unwrap();
        let link = root.path().join("rabbitmq-server");
        std::os::unix::fs::symlink(real.join("rabbitmq-server"), &link).unwrap();
        assert_eq!(version_of(&link).as_deref(), Some("4.0.5"));
        assert_eq!(version_of(&root.path().join("absent")), None);
    }
}
