//! `stoa shell` and `stoa exec`: a command in an instance.

use std::io::Write;

use clap::Args;
use futures::StreamExt;
use stoa_proto::gateway::v1::{
    shell_request::Input, shell_response::Output, ShellRequest, ShellResponse, ShellStart,
};
use tokio::{
    signal::unix::{signal, Signal, SignalKind},
    sync::mpsc,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use super::{broken, find, terminal, Target};
use crate::{
    context::Context,
    exit::{Code, Failure},
};

/// How `stoa` itself fails here, so that it is not taken for the command's
/// own code: as other programs that run commands elsewhere.
const OWN_FAILURE: u8 = 125;
const HUP: u32 = 1;
const INT: u32 = 2;
const TERM: u32 = 15;

/// Arguments of `stoa shell`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Ends with the command's own exit code; 128 and a signal's number where a signal ended it;
125 where stoa itself failed.")]
pub struct ShellArgs {
    /// OWNER/DSEQ, or DSEQ of one's own
    pub id: String,
    /// NAME or NAME/INDEX; may be left out where there is one service
    #[arg(default_value = "")]
    pub service: String,
    /// No terminal, even where there is one here
    #[arg(long, short = 'T')]
    pub no_tty: bool,
    /// A terminal there, even where there is none here
    #[arg(long, short = 't', conflicts_with = "no_tty")]
    pub tty: bool,
    /// Program and arguments, after -- [default: the instance's shell]
    #[arg(last = true)]
    pub command: Vec<String>,
}

/// Runs it.
pub async fn run(context: &Context, args: ShellArgs) -> Result<(), Failure> {
    let code = go(context, args).await.map_err(|failure| failure.ending_with(OWN_FAILURE))?;
    match code {
        0 => Ok(()),
        code => Err(Failure::silent(Code::Error).ending_with(u8::try_from(code).unwrap_or(255))),
    }
}

async fn go(context: &Context, args: ShellArgs) -> Result<i32, Failure> {
    let target = find(context, &args.id, &args.service).await?;
    let tty = args.tty || (!args.no_tty && terminal::is_interactive());
    let start = ShellStart {
        instance: Some(target.id()),
        command: args.command,
        tty,
        size: tty.then(terminal::size).flatten(),
        term: if tty { std::env::var("TERM").unwrap_or_default() } else { String::new() },
        stdin: true,
    };
    // Dropped before anything is said of an error.
    let raw = match tty && terminal::is_interactive() {
        true => Some(terminal::Raw::enter().map_err(|e| Failure::new(format!("terminal: {e}")))?),
        false => None,
    };
    let ended = carry(target, start, tty).await;
    drop(raw);
    ended
}

/// Carries bytes, sizes and signals until the command ends; its code.
async fn carry(mut target: Target, start: ShellStart, tty: bool) -> Result<i32, Failure> {
    let (to, input) = mpsc::channel(8);
    let say = |input| ShellRequest { input: Some(input) };
    let _ = to.send(say(Input::Start(start))).await;
    let answer = target.client.shell(ReceiverStream::new(input)).await.map_err(|s| broken(&s))?;
    let feeding = tokio::spawn(feed(to.clone(), tty));
    let code = tokio::select! {
        code = tell(answer.into_inner()) => code?,
        // Dropping the connection ends the command.
        signal = pass_signals(to) => Some(signal.saturating_add(128)),
    };
    feeding.abort();
    code.ok_or_else(|| {
        Failure::with(
            Code::Unreachable,
            "the connection ended before the command did; the provider ends a command that \
             nobody is connected to",
        )
    })
}

/// Writes what the command writes; its exit code.
async fn tell(mut output: Streaming<ShellResponse>) -> Result<Option<i32>, Failure> {
    let mut code = None;
    while let Some(message) = output.next().await {
        match message.map_err(|s| broken(&s))?.output {
            Some(Output::Stdout(bytes)) => write(std::io::stdout(), &bytes)?,
            Some(Output::Stderr(bytes)) => write(std::io::stderr(), &bytes)?,
            Some(Output::ExitCode(ended)) => code = Some(ended),
            None => {}
        }
    }
    Ok(code)
}

fn write(mut to: impl Write, bytes: &[u8]) -> Result<(), Failure> {
    to.write_all(bytes).and_then(|()| to.flush()).map_err(|e| Failure::new(format!("writing: {e}")))
}

/// Sends stdin and the terminal's size.
async fn feed(to: mpsc::Sender<ShellRequest>, tty: bool) {
    let mut stdin = terminal::stdin();
    let mut stdin_open = true;
    let mut resized = listener(SignalKind::window_change());
    loop {
        let next = tokio::select! {
            bytes = stdin.recv(), if stdin_open => match bytes {
                Some(bytes) => Some(Input::Stdin(bytes)),
                None => {
                    stdin_open = false;
                    Some(Input::EndStdin(true))
                }
            },
            () = heard(&mut resized), if tty => terminal::size().map(Input::Resize),
            else => return,
        };
        if let Some(input) = next {
            if to.send(ShellRequest { input: Some(input) }).await.is_err() {
                return;
            }
        }
    }
}

/// Passes the first signal on. Gives up, with the signal's number, at the
/// second, or where a command that does not read holds everything up.
async fn pass_signals(to: mpsc::Sender<ShellRequest>) -> i32 {
    let mut int = listener(SignalKind::interrupt());
    let mut term = listener(SignalKind::terminate());
    let mut hup = listener(SignalKind::hangup());
    let mut passed = false;
    loop {
        let signal = tokio::select! {
            () = heard(&mut int) => INT,
            () = heard(&mut term) => TERM,
            () = heard(&mut hup) => HUP,
        };
        let input = Some(Input::Signal(signal));
        if passed || to.try_send(ShellRequest { input }).is_err() {
            return i32::try_from(signal).unwrap_or(0);
        }
        passed = true;
    }
}

fn listener(kind: SignalKind) -> Option<Signal> {
    signal(kind).ok()
}

async fn heard(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}
