//! Whether a window can open: a display is named and something answers there.

/// Ok where a window can open, else the reason why not, for people.
#[cfg(not(all(unix, not(target_os = "macos"))))]
pub(crate) fn find() -> Result<(), String> {
    Ok(())
}

#[cfg(all(unix, not(target_os = "macos")))]
pub(crate) use with_display_server::find;

#[cfg(all(unix, not(target_os = "macos")))]
mod with_display_server {
    use std::net::{TcpStream, ToSocketAddrs};
    use std::os::unix::net::UnixStream;
    use std::path::{Path, PathBuf};
    use std::time::Duration;

    const TIMEOUT: Duration = Duration::from_secs(2);

    /// Ok where a Wayland or X server answers, else the reason why not, for people.
    pub(crate) fn find() -> Result<(), String> {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let wayland = variable("WAYLAND_DISPLAY");
        let x11 = variable("DISPLAY");
        if let Some(name) = &wayland
            && UnixStream::connect(wayland_socket(name, variable("XDG_RUNTIME_DIR").as_deref())).is_ok()
        {
            return Ok(());
        }
        if let Some(name) = &x11
            && x11_address(name).is_some_and(|address| answers(&address))
        {
            return Ok(());
        }
        Err(match wayland.or(x11) {
            Some(name) => format!("No display answers at \"{name}\""),
            None => "There is no display (neither WAYLAND_DISPLAY nor DISPLAY is set)".to_owned(),
        })
    }

    fn wayland_socket(name: &str, runtime_folder: Option<&str>) -> PathBuf {
        // An absolute name stands for itself: joining keeps it.
        Path::new(runtime_folder.unwrap_or("/run")).join(name)
    }

    /// Where an X server listens.
    #[derive(Debug, PartialEq, Eq)]
    enum Address {
        /// Display number on this machine.
        Local(u16),
        /// Host and port.
        Remote(String, u16),
    }

    /// Reads `[host]:display[.screen]`.
    fn x11_address(display: &str) -> Option<Address> {
        let (host, rest) = display.rsplit_once(':')?;
        let number: u16 = rest.split('.').next()?.parse().ok()?;
        if host.is_empty() || host == "unix" {
            Some(Address::Local(number))
        } else {
            Some(Address::Remote(host.to_owned(), number.checked_add(6000)?))
        }
    }

    fn answers(address: &Address) -> bool {
        match address {
            Address::Local(number) => {
                let socket = format!("/tmp/.X11-unix/X{number}");
                UnixStream::connect(&socket).is_ok() || answers_abstract(&socket)
            }
            Address::Remote(host, port) => (host.as_str(), *port)
                .to_socket_addrs()
                .is_ok_and(|mut found| found.any(|at| TcpStream::connect_timeout(&at, TIMEOUT).is_ok())),
        }
    }

    #[cfg(target_os = "linux")]
    fn answers_abstract(name: &str) -> bool {
        use std::os::linux::net::SocketAddrExt;
        use std::os::unix::net::SocketAddr;
        SocketAddr::from_abstract_name(name).is_ok_and(|address| UnixStream::connect_addr(&address).is_ok())
    }

    #[cfg(not(target_os = "linux"))]
    fn answers_abstract(_name: &str) -> bool {
        false
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn displays_are_read_as_x_reads_them() {
            assert_eq!(x11_address(":0"), Some(Address::Local(0)));
            assert_eq!(x11_address(":99.0"), Some(Address::Local(99)));
            assert_eq!(x11_address("unix:1"), Some(Address::Local(1)));
            assert_eq!(x11_address("localhost:10.0"), Some(Address::Remote("localhost".to_owned(), 6010)));
            assert_eq!(x11_address("nonsense"), None);
            assert_eq!(x11_address(":"), None);
        }

        #[test]
        fn a_wayland_name_lies_in_the_runtime_folder_unless_it_is_a_path() {
            assert_eq!(wayland_socket("wayland-0", Some("/run/user/1000")), Path::new("/run/user/1000/wayland-0"));
            assert_eq!(wayland_socket("/tmp/w", Some("/run/user/1000")), Path::new("/tmp/w"));
        }
    }
}
