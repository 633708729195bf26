//! The small program between an agent and the tools we serve it.
//!
//! Agents start their tool servers themselves and speak to them over standard streams,
//! while the team lives in our process. So the server an agent is told to start is
//! ourselves in another role: it connects its own streams to a loopback port of the
//! process that runs the team.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

/// Environment variable of the bridge that holds its token: command lines can be seen by all
/// users of a machine.
pub(super) const TOKEN_VARIABLE: &str = "MASSGEN_BRIDGE_TOKEN";
/// The other end is on this machine; what is not there at once is gone.
const CONNECT_WAIT: Duration = Duration::from_secs(5);

/// The program that calls [`run_bridge`]; the address is added as its last argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BridgeCommand {
    pub program: PathBuf,
    pub args: Vec<String>,
}

impl BridgeCommand {
    /// The subcommand under which a program offers the bridge.
    pub const SUBCOMMAND: &'static str = "__bridge";

    /// Returns the bridge of the program that is running, which offers
    /// [`SUBCOMMAND`](BridgeCommand::SUBCOMMAND).
    ///
    /// # Errors
    /// If the system does not tell where the program is.
    pub fn of_this_program() -> io::Result<BridgeCommand> {
        let program = std::env::current_exe()?;
        Ok(BridgeCommand { program, args: vec![BridgeCommand::SUBCOMMAND.to_owned()] })
    }
}

/// Connects this process's standard streams to `address` until either side ends.
///
/// # Errors
/// If the address is not one of this machine's, nobody listens there, or the token is missing.
pub fn run_bridge(address: &str) -> io::Result<()> {
    let token = std::env::var(TOKEN_VARIABLE)
        .map_err(|_| io::Error::other(format!("`{TOKEN_VARIABLE}` is not set")))?;
    let address: SocketAddr = address.parse().map_err(io::Error::other)?;
    if !is_loopback(address.ip()) {
        return Err(io::Error::other("the address is not of this machine"));
    }
    let mut socket = TcpStream::connect_timeout(&address, CONNECT_WAIT)?;
    socket.set_nodelay(true)?;
    socket.write_all(token.as_bytes())?;
    socket.write_all(b"\n")?;
    let mut sending = socket.try_clone()?;
    // Not joined: it may wait for input for ever, and ends with the process.
    std::thread::spawn(move || {
        let _ = copy(&mut io::stdin().lock(), &mut sending);
        let _ = sending.shutdown(Shutdown::Write);
    });
    copy(&mut socket, &mut io::stdout().lock())
}

fn is_loopback(address: IpAddr) -> bool {
    address.is_loopback()
}

/// Copies each piece as it comes: the other side waits for it.
fn copy(from: &mut impl Read, to: &mut impl Write) -> io::Result<()> {
    let mut bytes = [0; 16 * 1024];
    loop {
        match from.read(&mut bytes) {
            Ok(0) => return Ok(()),
            Ok(n) => {
                to.write_all(&bytes[..n])?;
                to.flush()?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
