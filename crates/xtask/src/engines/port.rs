//! Ports of loopback that nobody listens at.

use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Context, Result};

/// So many different ones. They are free now; nobody keeps them free until a server takes them.
pub(super) fn free<const N: usize>() -> Result<[u16; N]> {
    // All are held at the same time, so no two are the same.
    let mut held = Vec::with_capacity(N);
    for _ in 0..N {
        held.push(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no port of 127.0.0.1 is free")?);
    }
    let mut ports = [0; N];
    for (port, listener) in ports.iter_mut().zip(&held) {
        *port = listener.local_addr().context("a listener does not know its port")?.port();
    }
    Ok(ports)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ports_differ_and_are_free() {
        let ports: [u16; 20] = free().unwrap();
        assert_eq!(BTreeSet::from(ports).len(), 20);
        assert!(!ports.contains(&0));
        // Another program may take one in between, but not all of them.
        assert!(ports.iter().any(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok()));
    }
}
