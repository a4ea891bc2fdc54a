//! RabbitMQ 4 in a directory: a small Debian of the next release, made by debootstrap and entered by chroot. What it
//! needs mounted is mounted in a mount namespace of each process, so nothing of it is left when they have ended.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail, ensure};

use crate::engines::{
    machine::{self, NoServices},
    record::Place,
};

/// The first release of Debian with RabbitMQ 4.
const RELEASE: &str = "trixie";

/// Where the engine's own directory is seen inside.
pub(super) const INSIDE: &str = "/engine";

/// Mounts what a process needs, and becomes it: the directory, what to mount at [`INSIDE`], the program, its arguments.
const ENTER: &str = r#"set -e
root=$1; shift
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount --bind "$1" "$root/engine"; shift
exec chroot "$root" "$@""#;

/// A directory with a system in it.
pub(super) struct Jail {
    root: PathBuf,
    engine: PathBuf,
}

impl Jail {
    /// Makes it, unless it is there.
    pub(super) fn provide(place: &Place) -> Result<Self> {
        ensure!(machine::is_root(), "because only root can make and enter another system in a directory");
        for program in ["unshare", "mount", "chroot"] {
            ensure!(machine::find(program).is_some(), "because there is no `{program}`");
        }
        let jail = Self { root: place.path("root"), engine: place.dir().to_owned() };
        let ready = place.path("root-is-complete");
        if !ready.exists() {
            jail.make(place)?;
            fs::write(&ready, RELEASE).with_context(|| format!("cannot write {}", ready.display()))?;
        }
        Ok(jail)
    }

    /// How to start a program that is inside.
    pub(super) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-c", ENTER, "sh"]);
        command.arg(&self.root).arg(&self.engine).arg(program);
        command
    }

    fn make(&self, place: &Place) -> Result<()> {
        let ours = machine::release("VERSION_CODENAME").context("because this system does not say what it is")?;
        if machine::find("debootstrap").is_none() {
            machine::install(&["debootstrap"])?;
        }
        let mirror = machine::mirror(&ours).context("because it is not known where packages come from")?;
        // What an interrupted run has left may be anything.
        if self.root.exists() {
            fs::remove_dir_all(&self.root).with_context(|| format!("cannot delete {}", self.root.display()))?;
        }
        println!("debootstrap makes a system of {RELEASE} from {mirror} in {}", self.root.display());
        let log = place.log("debootstrap");
        let debootstrap = Command::new("debootstrap")
            .args(["--variant=minbase", RELEASE])
            .arg(&self.root)
            .arg(&mirror)
            .output()
            .context("cannot start debootstrap")?;
        fs::write(&log, [debootstrap.stdout, debootstrap.stderr].concat())
            .with_context(|| format!("cannot write {}", log.display()))?;
        if !debootstrap.status.success() {
            bail!("because debootstrap failed; its log is {}", log.display());
        }
        let inside = self.root.join(INSIDE.trim_start_matches('/'));
        fs::create_dir_all(&inside).with_context(|| format!("cannot create {}", inside.display()))?;
        println!("apt-get installs rabbitmq-server there");
        let _quiet = NoServices::begin(&self.root)?;
        let mut install = self.command(Path::new("apt-get"));
        install.env("DEBIAN_FRONTEND", "noninteractive").env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").args([
            "install",
            "-y",
            "-qq",
            "--no-install-recommends",
            "rabbitmq-server",
        ]);
        let output = install.output().context("cannot start unshare")?;
        let log = place.log("apt-get");
        fs::write(&log, [output.stdout, output.stderr].concat())
            .with_context(|| format!("cannot write {}", log.display()))?;
        ensure!(
            output.status.success(),
            "because apt-get failed in {}; its log is {}",
            self.root.display(),
            log.display()
        );
        Ok(())
    }
}
