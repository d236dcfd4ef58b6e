//! Real kubectl against `examples/kube_server`: Debian's 1.20, which speaks SPDY only, and a newer one, which comes with a
//! WebSocket first; straight, and through `kubectl proxy` of the other version. Each test ends with a look at what the server has left behind, which has to be nothing.

mod copy;
mod exec;
mod forward;
mod odd_servers;
mod proxy;
mod server;
mod terminal;

use std::net::SocketAddr;
use std::path::Path;

use tokio::process::Command;

use crate::peer::variable;

/// Which kubectl, and how it is told to speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    /// Debian's: SPDY.
    Debian,
    /// A newer one with its defaults. `exec` and `attach` try a WebSocket protocol that is not served here, and fall back
    /// to SPDY; `port-forward` speaks SPDY in WebSocket messages.
    Modern,
    /// The newer one with WebSocket switched off.
    ModernSpdy,
}

/// A kubectl, and its way to the server.
#[derive(Clone, Copy, Debug)]
struct Kubectl {
    version: Version,
    /// Through a proxy of the other version.
    proxied: bool,
}

impl Kubectl {
    fn straight(version: Version) -> Self {
        let proxied = false;
        Self { version, proxied }
    }

    /// `kubectl`, for this server.
    fn command(self, home: &Path, server: SocketAddr) -> Command {
        let program = variable(match self.version {
            Version::Debian => "SPDY_INTEROP_KUBECTL",
            Version::Modern | Version::ModernSpdy => "SPDY_INTEROP_MODERN_KUBECTL",
        });
        let websocket = if self.version == Version::ModernSpdy {
            "false"
        } else {
            "true"
        };
        let mut command = Command::new(program);
        command
            .env("HOME", home)
            .env_remove("KUBECONFIG")
            .env("KUBECTL_REMOTE_COMMAND_WEBSOCKETS", websocket)
            .env("KUBECTL_PORT_FORWARD_WEBSOCKETS", websocket)
            // Debian's knows neither variable.
            .args(["-s", &format!("http://{server}"), "-n", "default"]);
        command
    }

    /// The arguments with which a shell runs it, quoted.
    fn quoted(self, home: &Path, server: SocketAddr) -> String {
        let command = self.command(home, server);
        let command = command.as_std();
        let quote = |word: &std::ffi::OsStr| {
            let word = word.to_str().expect("an argument is text");
            assert!(!word.contains('\''), "{word}");
            format!("'{word}'")
        };
        let mut words = vec!["env".to_owned()];
        for (name, value) in command.get_envs() {
            let name = name.to_str().expect("a name is text");
            match value {
                Some(value) => words.push(format!("{name}={}", quote(value))),
                None => words.push(format!("-u {name}")),
            }
        }
        words.push(quote(command.get_program()));
        words.extend(command.get_args().map(quote));
        // Options of `env` stand before its assignments.
        words.sort_by_key(|word| match word {
            word if word == "env" => 0,
            word if word.starts_with("-u") => 1,
            _ => 2,
        });
        words.join(" ")
    }
}

/// Makes a test of each function for each kubectl; behind `proxied:` for each that is.
macro_rules! each_kubectl {
    (proxied: $($name:ident)*) => {
        each_kubectl! { @ debian_proxied Debian true $($name)* }
        each_kubectl! { @ modern_proxied Modern true $($name)* }
        each_kubectl! { @ modern_spdy_proxied ModernSpdy true $($name)* }
    };
    ($($name:ident)*) => {
        each_kubectl! { @ debian Debian false $($name)* }
        each_kubectl! { @ modern Modern false $($name)* }
        each_kubectl! { @ modern_spdy ModernSpdy false $($name)* }
    };
    (@ $module:ident $version:ident $proxied:literal $($name:ident)*) => {
        mod $module {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    let kubectl = crate::kubectl::Kubectl {
                        version: crate::kubectl::Version::$version,
                        proxied: $proxied,
                    };
                    crate::peer::within(crate::peer::LONG, super::$name(kubectl)).await;
                }
            )*
        }
    };
}
use each_kubectl;
